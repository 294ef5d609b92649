/* Errors as kubectl's cmdutil.CheckErr prints them. Any thread. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include "api/status.h"
#include "base/str.h"
#include "cli/cli.h"

/* "The Deployment "x" is invalid: ", with one line for each cause when there are several. */
static char *invalid_text(const struct kc_error *err)
{
        const struct kc_error_details *d = err->details;
        if (!d)
                return kc_asprintf("The request is invalid: %s", kc_error_message(err));
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        if (!kc_str_empty(d->kind) || !kc_str_empty(d->name)) {
                kc_buf_adds(&b, "The ");
                kc_buf_adds(&b, d->kind ? d->kind : "");
                kc_buf_adds(&b, " ");
                kc_quote_add(&b, d->name);
                kc_buf_adds(&b, " is invalid");
        } else {
                kc_buf_adds(&b, "The request is invalid");
                if (d->n_causes == 0)
                        kc_buf_addf(&b, ": %s", kc_error_message(err));
        }
        KC_CLEANUP(kc_strv_freep) char **lines = NULL;
        for (size_t i = 0; i < d->n_causes; i++) {
                KC_CLEANUP(kc_freep)
                char *line = kc_asprintf("%s: %s", d->causes[i].field ? d->causes[i].field : "",
                    d->causes[i].message ? d->causes[i].message : "");
                if (!kc_strv_has(lines, line))
                        kc_strv_push(&lines, line);
        }
        if (lines && !lines[1])
                kc_buf_addf(&b, ": %s", lines[0]);
        else if (lines)
                kc_buf_adds(&b, ": ");
        for (char **l = lines; l && lines[1] && *l; l++)
                kc_buf_addf(&b, "\n* %s", *l);
        return kc_buf_take_str(&b);
}

static bool is_refused(const struct kc_error *err)
{
        return err->code == 0 && err->errnum == ECONNREFUSED;
}

static bool is_network(const struct kc_error *err)
{
        static const int numbers[] = {EHOSTUNREACH, ENETUNREACH, ETIMEDOUT, ECONNRESET, EPIPE, EPROTO, EPROTONOSUPPORT,
            EBADMSG, EACCES, ENOTCONN, EADDRNOTAVAIL, EIO};
        for (size_t i = 0; err->code == 0 && i < KC_ARRAY_LEN(numbers); i++)
                if (err->errnum == numbers[i])
                        return true;
        return false;
}

char *kc_cli_error_text(const struct kc_cli *c, const struct kc_error *err)
{
        const char *message = kc_error_message(err);
        if (err->code > 0) {
                if (kc_error_is(err, KC_REASON_INVALID))
                        return invalid_text(err);
                if (kc_error_is(err, KC_REASON_UNAUTHORIZED))
                        return kc_asprintf("error: You must be logged in to the server (%s)", message);
                if (err->reason && err->reason[0])
                        return kc_asprintf("Error from server (%s): %s", err->reason, message);
                return kc_asprintf("Error from server: %s", message);
        }
        if (c && c->bad_config)
                return kc_asprintf("Error in configuration: %s", message);
        const char *server = c && c->configured ? c->config.server : NULL;
        if (server && is_refused(err)) {
                const char *host = strstr(server, "://") ? strstr(server, "://") + 3 : server;
                return kc_asprintf(
                    "The connection to the server %.*s was refused - did you specify the right host or port?",
                    (int)strcspn(host, "/"), host);
        }
        if (server && c->rest && is_network(err))
                return kc_asprintf("Unable to connect to the server: %s", message);
        return kc_asprintf("%s%s", kc_str_has_prefix(message, "error: ") ? "" : "error: ", message);
}

void kc_cli_print_error(struct kc_cli *c, const struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *text = kc_cli_error_text(c, err);
        (void)fflush(c->out);
        (void)fprintf(c->err, "%s%s", text, kc_str_has_suffix(text, "\n") ? "" : "\n");
}

/* As one of several: an API error without the long form, others without "error: ". */
static char *line_text(const struct kc_cli *c, const struct kc_error *err)
{
        if (kc_error_is(err, KC_REASON_INVALID))
                return kc_asprintf("Error from server (%s): %s", err->reason, kc_error_message(err));
        KC_CLEANUP(kc_freep) char *text = kc_cli_error_text(c, err);
        return err->code == 0 && kc_str_has_prefix(text, "error: ") ? kc_strdup(kc_error_message(err)) : KC_TAKE(text);
}

void kc_cli_errors_take(struct kc_cli_errors *l, struct kc_error *err)
{
        l->v = kc_reallocarray(l->v, l->n + 1, sizeof(*l->v));
        l->v[l->n] = KC_ERROR_INIT;
        kc_error_move(&l->v[l->n++], err);
}

bool kc_cli_errors_report(struct kc_cli *c, const struct kc_cli_errors *l)
{
        if (l->n == 1)
                kc_cli_print_error(c, &l->v[0]);
        (void)fflush(c->out);
        for (size_t i = 0; l->n > 1 && i < l->n; i++) {
                KC_CLEANUP(kc_freep) char *text = line_text(c, &l->v[i]);
                (void)fprintf(c->err, "%s\n", text);
        }
        return l->n > 0;
}

char *kc_cli_errors_join(const struct kc_cli_errors *l)
{
        KC_CLEANUP(kc_strv_freep) char **messages = NULL;
        for (size_t i = 0; i < l->n; i++)
                kc_strv_push(&messages, kc_error_message(&l->v[i]));
        KC_CLEANUP(kc_freep) char *all = l->n > 0 ? kc_strv_join(messages, ", ") : kc_strdup("");
        return l->n > 1 ? kc_asprintf("[%s]", all) : KC_TAKE(all);
}

void kc_cli_errors_done(struct kc_cli_errors *l)
{
        for (size_t i = 0; i < l->n; i++)
                kc_error_done(&l->v[i]);
        kc_free(l->v);
        *l = (struct kc_cli_errors){0};
}

int kc_cli_write_failed(struct kc_cli *c)
{
        if (errno == EPIPE) {
                (void)signal(SIGPIPE, SIG_DFL);
                (void)raise(SIGPIPE); /* how kubectl ends then */
        }
        (void)fprintf(c->err, "error: write: %s\n", strerror(errno));
        return KC_CLI_FAILED;
}

int kc_cli_usage_error(const struct kc_cli *c, const char *command, struct kc_error *err, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        KC_CLEANUP(kc_freep) char *message = kc_vasprintf(fmt, ap);
        va_end(ap);
        return kc_error_set(err, EINVAL, "%s\nSee '%s %s -h' for help and examples", message, c->program, command);
}

int kc_cli_unexpected_args(const struct kc_cli *c, const char *command, char *const *args, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *all = kc_strv_join(args, " ");
        return kc_cli_usage_error(c, command, err, "Unexpected args: [%s]", all);
}

int kc_cli_add_source(struct kc_error *err, const char *verb, const char *source)
{
        return kc_error_wrap(err, "error when %s \"%s\"", verb, source);
}
