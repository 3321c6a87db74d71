/*
 * A loop ioctl as a 32-bit caller makes it: int 0x80 with the i386 number. Usage: compat-ioctl DEVICE REQUEST ARGUMENT; the
 * argument is a number, or `config:FILE`: the address of a struct loop_config that attaches the file. Prints the result.
 */
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int main(int count, char **words)
{
	struct loop_config *config;
	unsigned long argument;
	long fd, result;

	if (count != 4)
		return 2;
	fd = open(words[1], O_RDWR);
	argument = strtoul(words[3], 0, 0);
	if (strncmp(words[3], "config:", 7) == 0) {
		config = mmap(NULL, sizeof(*config), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
		if (config == MAP_FAILED)
			return 1;
		config->fd = open(words[3] + 7, O_RDWR);
		argument = (unsigned long)config;
	}
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(54L), "b"(fd), "c"(strtoul(words[2], 0, 0)), "d"(argument)
			 : "memory", "r8", "r9", "r10", "r11");
	printf("%d\n", (int)result);
	return 0;
}
