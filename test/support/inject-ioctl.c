/*
 * Has another process make an ioctl (ptrace): stops it in the system call that it waits in, and goes back to the
 * instruction that made it. Usage: inject-ioctl PID DESCRIPTOR REQUEST ARGUMENT; prints the result.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#define SYSCALL_INSTRUCTION_LENGTH 2

static int fail(const char *what)
{
	perror(what);
	return 1;
}

int main(int count, char **words)
{
	struct user_regs_struct before, call;
	int pid, status;

	if (count != 5)
		return 2;
	pid = atoi(words[1]);
	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) || waitpid(pid, &status, 0) < 0)
		return fail("attach");
	if (ptrace(PTRACE_GETREGS, pid, NULL, &before))
		return fail("read");
	call = before;
	/* -1: the kernel shall not make the interrupted call again by itself. */
	call.orig_rax = -1;
	call.rip = before.rip - SYSCALL_INSTRUCTION_LENGTH;
	call.rax = SYS_ioctl;
	call.rdi = strtoul(words[2], 0, 0);
	call.rsi = strtoul(words[3], 0, 0);
	call.rdx = strtoul(words[4], 0, 0);
	if (ptrace(PTRACE_SETREGS, pid, NULL, &call) || ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) ||
	    waitpid(pid, &status, 0) < 0 || ptrace(PTRACE_GETREGS, pid, NULL, &call))
		return fail("call");
	printf("%d\n", (int)call.rax);
	/* Back into the call that it was in. */
	if (ptrace(PTRACE_SETREGS, pid, NULL, &before) || ptrace(PTRACE_DETACH, pid, NULL, NULL))
		return fail("leave");
	return 0;
}
