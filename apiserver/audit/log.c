/* The log sink: a line an event, as JSON or in the legacy form, to a rotated file or standard output. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "audit/sink.h"
#include "base/str.h"

enum { DEFAULT_MEGABYTES = 100 };

struct log_sink {
        struct kc_audit_sink base;
        struct kc_rotated_file *file; /* NULL: standard output */
        bool legacy;
};

/* --- the legacy form */

static void add_quoted(struct kc_buf *out, const char *name, const char *value)
{
        kc_buf_addf(out, " %s=", name);
        kc_json_write_string(out, value ? value : "", value ? strlen(value) : 0);
}

static void add_groups(struct kc_buf *out, const char *name, const struct json_object *user, const char *absent)
{
        const struct json_object *groups = kc_json_get(user, "groups");
        KC_CLEANUP(kc_buf_done) struct kc_buf list = KC_BUF_INIT;
        for (size_t i = 0; i < kc_json_len(groups); i++) {
                const char *g = kc_json_as_str(kc_json_idx(groups, i));
                kc_buf_adds(&list, i ? "," : "");
                kc_json_write_string(&list, g ? g : "", g ? strlen(g) : 0);
        }
        add_quoted(out, name, list.len ? kc_buf_str(&list) : absent);
}

void kc_audit_legacy_line(const struct json_object *e, struct kc_buf *out)
{
        const struct json_object *user = kc_json_get(e, "user"), *as = kc_json_get(e, "impersonatedUser");
        const char *as_name = kc_json_str(as, "username"), *ns = kc_json_str_at(e, "objectRef.namespace");
        int64_t code = kc_json_int_at(e, "responseStatus.code", 0);
        KC_CLEANUP(kc_freep) char *response = code ? kc_asprintf("%lld", (long long)code) : kc_strdup("<deferred>");
        kc_buf_addf(out, "%s AUDIT:", kc_json_str(e, "requestReceivedTimestamp"));
        add_quoted(out, "id", kc_json_str(e, "auditID"));
        add_quoted(out, "stage", kc_json_str(e, "stage"));
        add_quoted(out, "ip", kc_json_as_str(kc_json_idx(kc_json_get(e, "sourceIPs"), 0)));
        add_quoted(out, "method", kc_json_str(e, "verb"));
        add_quoted(out, "user", kc_json_str(user, "username") ? kc_json_str(user, "username") : "<none>");
        add_groups(out, "groups", user, "<none>");
        add_quoted(out, "as", as_name ? as_name : "<self>");
        add_groups(out, "asgroups", as, "<lookup>");
        add_quoted(out, "user-agent", kc_json_str(e, "userAgent"));
        add_quoted(out, "namespace", ns ? ns : "<none>");
        add_quoted(out, "uri", kc_json_str(e, "requestURI"));
        add_quoted(out, "response", response);
}

/* --- the sink */

static int add_line(const struct log_sink *s, const struct kc_bytes *event, struct kc_buf *out, struct kc_error *err)
{
        if (!s->legacy) {
                kc_buf_add(out, kc_bytes_data(event), kc_bytes_len(event));
        } else {
                KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
                int r = kc_json_parse(kc_bytes_data(event), kc_bytes_len(event), NULL, &tree, err);
                if (r < 0)
                        return r;
                kc_audit_legacy_line(tree, out);
        }
        kc_buf_addc(out, '\n');
        return 0;
}

static int write_stdout(const struct kc_buf *b, struct kc_error *err)
{
        for (size_t done = 0; done < b->len;) {
                ssize_t n = write(STDOUT_FILENO, b->data + done, b->len - done);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return kc_error_set(err, errno, "write to standard output: %s", strerror(errno));
                done += (size_t)n;
        }
        return 0;
}

static int log_write(struct kc_audit_sink *sink, struct kc_bytes *const *events, size_t n, struct kc_error *err)
{
        struct log_sink *s = (struct log_sink *)sink;
        for (size_t i = 0; i < n; i++) {
                KC_CLEANUP(kc_buf_done) struct kc_buf line = KC_BUF_INIT;
                int r = add_line(s, events[i], &line, err);
                if (r == 0)
                        r = s->file ? kc_rotated_file_write(s->file, line.data, line.len, err)
                                    : write_stdout(&line, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void log_free(struct kc_audit_sink *sink)
{
        struct log_sink *s = (struct log_sink *)sink;
        kc_rotated_file_free(s->file);
        kc_free(s);
}

int kc_audit_log_new(const struct kc_audit_opts *o, struct kc_audit_sink **ret, struct kc_error *err)
{
        struct log_sink *s = KC_NEW(struct log_sink);
        s->base = (struct kc_audit_sink){.name = "log", .write = log_write, .free = log_free};
        s->legacy = o->log_legacy;
        const struct kc_rotation r = {
            .max_size = (int64_t)(o->log_max_size > 0 ? o->log_max_size : DEFAULT_MEGABYTES) << 20,
            .max_age_days = o->log_max_age,
            .max_backups = o->log_max_backup,
            .compress = o->log_compress,
        };
        int e = strcmp(o->log_path, "-") == 0 ? 0 : kc_rotated_file_open(o->log_path, &r, &s->file, err);
        if (e < 0) {
                log_free(&s->base);
                return e;
        }
        *ret = &s->base;
        return 0;
}
