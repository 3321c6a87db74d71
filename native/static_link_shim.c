/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debian builds libelf.a and libbpf.a for executables. A few of their references can't be linked
 * into a shared object; what is defined here is found before the archives' members and keeps those
 * members out.
 */
#include <dlfcn.h>

#define HIDDEN __attribute__((visibility("hidden")))

/* Replaces elf_error.o, whose thread-local variable has the executables' (local-exec) storage
 * model. */
static __thread int last_error;

HIDDEN void __libelf_seterrno(int error)
{
	last_error = error;
}

HIDDEN int elf_errno(void)
{
	int error = last_error;

	last_error = 0;
	return error;
}

HIDDEN const char *elf_errmsg(int error)
{
	static __thread char text[24];
	unsigned int number = error > 0 ? error : last_error;
	char digits[12];
	int count = 0;
	int at = 0;
	const char *prefix = "libelf error ";

	if (error == 0 && last_error == 0)
		return 0;
	while (prefix[at]) {
		text[at] = prefix[at];
		at++;
	}
	do {
		digits[count++] = '0' + number % 10;
		number /= 10;
	} while (number);
	while (count)
		text[at++] = digits[--count];
	text[at] = '\0';
	return text;
}

/*
 * libbpf.a's default logger names libc's stderr by a relocation that only executables may have. The
 * logger is replaced (libbpf_set_print), but the static libstdc++ shares the symbol, so it gets its
 * true value.
 */
HIDDEN void *stderr;

__attribute__((constructor)) static void take_stderr(void)
{
	void **real = dlsym(RTLD_DEFAULT, "stderr");

	if (real)
		stderr = *real;
}

/* Debian 13's libelf.a lacks its libeu half. These trees serve raw chunks (elf_getdata_rawchunk),
 * never used here. */
HIDDEN void eu_search_tree_init(void *tree, void *compare)
{
	(void)tree;
	(void)compare;
}

HIDDEN void eu_search_tree_fini(void *tree, void *destroy)
{
	(void)tree;
	(void)destroy;
}
