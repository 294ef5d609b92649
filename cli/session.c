/* exec and attach at the user's terminal. Main thread; sizes of the terminal are read on the client's loop. */
#include "cli/session.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/requests.h"
#include "cli/stream/remote.h"
#include "cli/stream/terminal.h"

void kc_session_check_tty(struct kc_cli *c, struct kc_session_opts *o)
{
        if (!o->in)
                o->tty = false;
        if (!o->tty || isatty(fileno(c->in)))
                return;
        o->tty = false;
        if (!o->quiet)
                (void)fprintf(c->err, "Unable to use a TTY - input is not a terminal or the right kind of file\n");
}

char *kc_session_path(
    const struct json_object *pod, const char *container, char *const *command, const struct kc_session_opts *o)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        for (char *const *a = command; a && *a; a++)
                kc_query_add(&q, "command", *a);
        kc_query_add(&q, "container", container);
        if (o->in)
                kc_query_add(&q, "stdin", "true");
        kc_query_add(&q, "stdout", "true");
        kc_query_add(&q, o->tty ? "tty" : "stderr", "true");
        KC_CLEANUP(kc_freep)
        char *path = kc_gvr_path(&KC_PODS, kc_meta_namespace(pod), kc_meta_name(pod), o->attach ? "attach" : "exec");
        return kc_asprintf("%s?%s", path, kc_buf_str(&q));
}

/* --- the terminal's size, on the loop */

static struct {
        struct kc_remote *remote;
        int fd;
} sized;

static void on_resize(void *arg)
{
        (void)arg;
        int width, height;
        if (sized.remote && kc_terminal_size(sized.fd, &width, &height))
                kc_remote_resize(sized.remote, width, height);
}

struct following {
        struct kc_loop *loop;
        struct kc_remote *remote;
        int fd, result;
        bool redraw;
        struct kc_error *err;
};

static void follow_size(void *arg)
{
        struct following *f = arg;
        static bool handled;
        int width, height;
        sized.remote = f->remote;
        sized.fd = f->fd;
        f->result = 0;
        if (!f->remote || !kc_terminal_size(f->fd, &width, &height))
                return;
        if (!handled)
                f->result = kc_loop_on_signal(f->loop, SIGWINCH, on_resize, NULL, f->err);
        handled = true;
        /* What is attached to draws itself anew at another size. */
        if (f->redraw)
                kc_remote_resize(f->remote, width + 1, height + 1);
        kc_remote_resize(f->remote, width, height);
}

static int use_terminal(struct kc_cli *c, struct kc_rest *rest, struct kc_remote *remote,
    const struct kc_session_opts *o, struct kc_error *err)
{
        struct following f = {
            .loop = kc_rest_loop(rest), .remote = remote, .fd = fileno(c->out), .redraw = o->attach, .err = err};
        kc_loop_call(f.loop, follow_size, &f);
        return f.result;
}

static void leave_terminal(struct kc_rest *rest)
{
        struct following f = {.loop = kc_rest_loop(rest)};
        kc_loop_call(f.loop, follow_size, &f);
        kc_terminal_restore();
}

int kc_session_run(struct kc_cli *c, const struct json_object *pod, const char *container, char *const *command,
    const struct kc_session_opts *o, struct kc_error *err)
{
        struct kc_rest *rest;
        int timeout_ms = 0, code = 0;
        KC_CLEANUP(kc_freep) char *path = kc_session_path(pod, container, command, o);
        KC_CLEANUP(kc_remote_freep) struct kc_remote *remote = NULL;
        int e = kc_cli_rest(c, &rest, err);
        if (e == 0)
                e = kc_cli_request_timeout_ms(c, &timeout_ms, err);
        if (e < 0)
                return e;
        (void)fflush(c->out);
        if (o->in && (e = kc_terminal_guard(fileno(c->in), o->tty)) < 0 && o->tty)
                return kc_error_set(err, -e, "the terminal cannot be used: %s", strerror(-e));
        e = kc_remote_start(&(struct kc_remote_opts){.rest = rest,
                                .path = path,
                                .in = o->in ? fileno(c->in) : -1,
                                .out = fileno(c->out),
                                .err = o->tty ? -1 : fileno(c->err),
                                .tty = o->tty,
                                .timeout_ms = timeout_ms},
            &remote, err);
        if (e == 0 && o->tty)
                e = use_terminal(c, rest, remote, o, err);
        if (e == 0)
                e = kc_remote_wait(remote, &code, err);
        leave_terminal(rest);
        if (e == -EPIPE) {
                kc_error_done(err);
                errno = EPIPE;
                return kc_cli_write_failed(c);
        }
        if (e < 0)
                return e;
        if (code != 0)
                (void)fprintf(c->err, "command terminated with exit code %d\n", code);
        return code;
}
