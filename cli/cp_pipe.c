/* A command in a container as one end of a pipe, and the paths of both sides. Main thread; a thread of its own waits
 * for the command, so that its end is the pipe's. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/cp.h"
#include "cli/pods.h"
#include "cli/requests.h"
#include "cli/session.h"
#include "cli/stream/remote.h"
#include "net/dial.h"

/* --- paths */

char *kc_cp_clean(const char *path)
{
        bool rooted = path[0] == '/';
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(path, '/'), **kept = NULL;
        for (char **p = parts; *p; p++) {
                size_t n = kc_strv_len(kept);
                if (!**p || kc_streq(*p, "."))
                        continue;
                if (!kc_streq(*p, "..") || (!rooted && (n == 0 || kc_streq(kept[n - 1], "..")))) {
                        kc_strv_push(&kept, *p);
                } else if (n > 0) {
                        kc_free(kept[n - 1]);
                        kept[n - 1] = NULL;
                }
        }
        KC_CLEANUP(kc_freep) char *joined = kept && kept[0] ? kc_strv_join(kept, "/") : kc_strdup("");
        return rooted ? kc_asprintf("/%s", joined) : kc_strdup(joined[0] ? joined : ".");
}

char *kc_cp_join(const char *a, const char *b)
{
        KC_CLEANUP(kc_freep) char *both = kc_asprintf("%s/%s", a, b);
        return kc_cp_clean(a[0] ? both : b);
}

char *kc_cp_dir(const char *path)
{
        const char *slash = strrchr(path, '/');
        KC_CLEANUP(kc_freep) char *dir = kc_strndup(path, slash ? (size_t)(slash - path) + 1 : 0);
        return kc_cp_clean(dir);
}

char *kc_cp_base(const char *path)
{
        size_t len = strlen(path);
        while (len > 1 && path[len - 1] == '/')
                len--;
        KC_CLEANUP(kc_freep) char *whole = kc_strndup(path, len);
        const char *slash = strrchr(whole, '/');
        return kc_strdup(!whole[0] ? "." : slash && slash[1] ? slash + 1 : whole);
}

int kc_cp_local_error(struct kc_error *err, const char *what, const char *path)
{
        /* Not errno's own number: nothing is wrong with the server. */
        return kc_error_set(err, EBADF, "%s %s: %s", what, path, kc_net_strerror(errno));
}

/* --- the pipe */

struct kc_cp_pipe {
        struct kc_remote *remote;
        int ours, theirs;
        pthread_t waiter;
        int result, code; /* of the waiter */
        struct kc_error why;
};

static void *wait_for_it(void *arg)
{
        struct kc_cp_pipe *p = arg;
        p->result = kc_remote_wait(p->remote, &p->code, &p->why);
        (void)close(p->theirs); /* our end hears of it */
        return NULL;
}

/* As kubec exec chooses. */
static int choose(struct kc_cp *cp, const struct kc_cp_spec *spec, bool quiet, FILE *say, char **ret_path,
    char *const *command, bool in, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *pod = NULL;
        struct kc_resource_map *map;
        const struct kc_api_resource *pods = NULL;
        const char *ns = "", *container = cp->container;
        int e = kc_cli_namespace(cp->c, &ns, err);
        if (e == 0)
                e = kc_cli_map(cp->c, &map, err);
        if (e == 0)
                e = kc_resource_map_find(map, "pods", &pods, err);
        if (e == 0)
                e = kc_cli_get(cp->c, pods, spec->ns[0] ? spec->ns : ns, spec->pod, &pod, err);
        if (e < 0)
                return e;
        const char *phase = kc_json_str_at(pod, "status.phase");
        if (kc_streq(phase, "Succeeded") || kc_streq(phase, "Failed"))
                return kc_error_set(
                    err, EINVAL, "cannot exec into a container in a completed pod; current phase is %s", phase);
        FILE *was = cp->c->err;
        cp->c->err = say;
        if (kc_str_empty(container))
                e = kc_pod_default_container(cp->c, pod, quiet, &container, err);
        cp->c->err = was;
        (void)fflush(say);
        if (e == 0)
                *ret_path = kc_session_path(pod, container, command, &(struct kc_session_opts){.in = in});
        return e;
}

int kc_cp_pipe_open(struct kc_cp *cp, const struct kc_cp_spec *spec, char *const *command, bool writes, bool quiet,
    int out, int err_fd, struct kc_cp_pipe **ret, struct kc_error *err)
{
        struct kc_rest *rest;
        KC_CLEANUP(kc_freep) char *path = NULL;
        int ends[2];
        int e = choose(cp, spec, quiet, writes ? cp->c->err : cp->c->out, &path, command, writes, err);
        if (e == 0)
                e = kc_cli_rest(cp->c, &rest, err);
        if (e < 0)
                return e;
        if (pipe2(ends, O_CLOEXEC) < 0)
                return kc_error_set(err, errno, "pipe: %s", strerror(errno));
        KC_CLEANUP(kc_freep) struct kc_cp_pipe *p = KC_NEW(struct kc_cp_pipe);
        *p = (struct kc_cp_pipe){.ours = ends[writes ? 1 : 0], .theirs = ends[writes ? 0 : 1]};
        e = kc_remote_start(&(struct kc_remote_opts){.rest = rest,
                                .path = path,
                                .in = writes ? p->theirs : -1,
                                .out = writes ? out : p->theirs,
                                .err = err_fd},
            &p->remote, err);
        int made = e == 0 ? pthread_create(&p->waiter, NULL, wait_for_it, p) : 0;
        if (made != 0)
                e = kc_error_set(err, made, "pthread_create: %s", strerror(made));
        if (e < 0) {
                kc_remote_free(p->remote);
                (void)close(ends[0]);
                (void)close(ends[1]);
                return e;
        }
        *ret = KC_TAKE(p);
        return 0;
}

int kc_cp_pipe_fd(const struct kc_cp_pipe *p)
{
        return p->ours;
}

int kc_cp_pipe_close(struct kc_cp_pipe *take_p, struct kc_error *err)
{
        struct kc_cp_pipe *p = take_p;
        (void)close(p->ours);
        (void)pthread_join(p->waiter, NULL);
        kc_remote_free(p->remote);
        int e = p->result < 0 ? p->result : p->code;
        if (p->result < 0)
                kc_error_move(err, &p->why);
        kc_error_done(&p->why);
        kc_free(p);
        return e;
}
