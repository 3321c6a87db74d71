/* A loop ioctl as a 32-bit caller makes it: int 0x80 with the i386 number. Usage: compat-ioctl DEVICE REQUEST ARGUMENT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

int main(int count, char **words)
{
	long fd, result;

	if (count != 4)
		return 2;
	fd = open(words[1], O_RDWR);
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(54L), "b"(fd), "c"(strtoul(words[2], 0, 0)), "d"(strtoul(words[3], 0, 0))
			 : "memory", "r8", "r9", "r10", "r11");
	printf("%d\n", (int)result);
	return 0;
}
