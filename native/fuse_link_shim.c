/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libfuse takes a pthread key for each session, and a process has 1,024. The key is only for the
 * pipes of splicing, which is never used here, so all sessions share one: the linker sends
 * libfuse's calls here (--wrap in binding.gyp). Keys with other destructors get one each.
 */
#include <pthread.h>

#define HIDDEN __attribute__((visibility("hidden")))
#define KEYS_MOST 8

int __real_pthread_key_create(pthread_key_t *key, void (*destructor)(void *));

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	void (*destructor)(void *);
	pthread_key_t key;
} keys[KEYS_MOST];
static int key_count;

HIDDEN int __wrap_pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
	int error = 0;
	int at = 0;

	pthread_mutex_lock(&lock);
	while (at < key_count && keys[at].destructor != destructor)
		at++;
	if (at == KEYS_MOST) {
		error = __real_pthread_key_create(key, destructor);
	} else {
		if (at == key_count) {
			error = __real_pthread_key_create(&keys[at].key, destructor);
			keys[at].destructor = destructor;
			if (!error)
				key_count++;
		}
		*key = keys[at].key;
	}
	pthread_mutex_unlock(&lock);
	return error;
}

/* Shared keys stay for the next session. */
HIDDEN int __wrap_pthread_key_delete(pthread_key_t key)
{
	(void)key;
	return 0;
}
