/* Certificates with their keys in files, and when they are to be renewed. Any thread. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/certificates/certificates.h"

enum { STAMP_LEN = 32 };
#define EARLIEST 0.7
#define SPREAD 0.2

char *kc_kubelet_cert_path(const char *dir, const char *pair)
{
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s-current.pem", pair);
        return kc_path_join(dir, name);
}

kc_time kc_kubelet_cert_deadline(kc_time not_before, kc_time not_after, double random)
{
        double lifetime = (double)(not_after - not_before);
        return not_before + (kc_time)(lifetime * (EARLIEST + SPREAD * random) + 0.5);
}

/* The link is replaced at once: a reader sees the old pair or the new one. */
static int point(const char *link, const char *target, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *next = kc_asprintf("%s.updated", link);
        (void)unlink(next); /* left by a kubelet that was killed */
        if (symlink(target, next) < 0 || rename(next, link) < 0)
                return kc_error_set(err, errno, "unable to point \"%s\" to \"%s\": %s", link, target, strerror(errno));
        return 0;
}

int kc_kubelet_cert_store(
    const char *dir, const char *pair, const char *cert_pem, const char *key_pem, kc_time now, struct kc_error *err)
{
        time_t seconds = (time_t)(now / KC_SEC);
        char stamp[STAMP_LEN];
        struct tm tm;
        gmtime_r(&seconds, &tm);
        (void)strftime(stamp, sizeof(stamp), "%Y-%m-%d-%H-%M-%S", &tm);
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s-%s.pem", pair, stamp);
        KC_CLEANUP(kc_freep) char *path = kc_path_join(dir, name);
        KC_CLEANUP(kc_freep) char *current = kc_kubelet_cert_path(dir, pair);
        int r = kc_mkdir_p(dir, 0700, err);
        if (r < 0)
                return r;
        size_t len = strlen(cert_pem) + strlen(key_pem);
        char *both = kc_asprintf("%s%s", cert_pem, key_pem);
        r = kc_file_write_atomic(path, both, len, 0600, err);
        kc_free_secret(both, len);
        return r < 0 ? r : point(current, path, err);
}
