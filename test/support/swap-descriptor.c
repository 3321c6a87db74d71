/*
 * Attaches a file to a loop device through a descriptor that another thread makes lead to a decoy and back, without
 * pause: who looks at the descriptor before the kernel does may see the decoy. Each round is a process of its own,
 * since the kernel detaches with the last close. Usage: swap-descriptor DEVICE DECOY IMAGE ROUNDS; the file is attached
 * once in each round.
 */
#include <fcntl.h>
#include <linux/loop.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int device, decoy, shared;

static void *swap(void *unused)
{
	for (;;) {
		dup2(device, shared);
		dup2(decoy, shared);
	}
	return unused;
}

static int attach_once(char **words)
{
	int image = open(words[3], O_RDWR);
	struct loop_info64 status;
	pthread_t thread;

	device = open(words[1], O_RDWR);
	decoy = open(words[2], O_RDWR);
	shared = dup(decoy);
	if (device < 0 || decoy < 0 || image < 0 || shared < 0)
		return 1;
	if (pthread_create(&thread, NULL, swap, NULL))
		return 1;
	while (ioctl(shared, LOOP_SET_FD, image))
		;
	/* The call may have been on the decoy: then nothing is attached here. */
	if (ioctl(device, LOOP_GET_STATUS64, &status))
		return 1;
	return ioctl(device, LOOP_CLR_FD, 0) != 0;
}

int main(int count, char **words)
{
	int rounds, status;

	if (count != 5)
		return 2;
	for (rounds = atoi(words[4]); rounds > 0; rounds--) {
		if (fork() == 0)
			_exit(attach_once(words));
		if (wait(&status) < 0 || status != 0) {
			fprintf(stderr, "a round ended with %d\n", status);
			return 1;
		}
	}
	return 0;
}
