/* --token-auth-file: static tokens in a CSV file (RFC 4180 as Go's encoding/csv reads it). Read once at the start. */
#include <errno.h>
#include <string.h>

#include "auth/authn_internal.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"

enum { TOKEN_FILE_MAX = 16 << 20 };

struct reader {
        const char *path;
        const char *at;
        int line;
};

static int bad(const struct reader *r, const char *why, struct kc_error *err)
{
        return kc_error_set(err, EINVAL, "%s: parse error on line %d: %s", r->path, r->line, why);
}

/* A field in quotes; r->at is behind the opening one. "" inside stands for one quote. */
static int quoted_field(struct reader *r, struct kc_buf *b, struct kc_error *err)
{
        for (;; r->at++) {
                if (*r->at == '\0')
                        return bad(r, "extraneous or missing \" in quoted-field", err);
                if (*r->at == '\n')
                        r->line++;
                if (*r->at == '"') {
                        if (r->at[1] != '"')
                                break;
                        r->at++;
                }
                kc_buf_addc(b, *r->at);
        }
        r->at++;
        if (*r->at == '\r' && r->at[1] == '\n')
                r->at++;
        if (*r->at != ',' && *r->at != '\n' && *r->at != '\0')
                return bad(r, "extraneous or missing \" in quoted-field", err);
        return 0;
}

static int plain_field(struct reader *r, struct kc_buf *b, struct kc_error *err)
{
        for (; *r->at != ',' && *r->at != '\n' && *r->at != '\0'; r->at++) {
                if (*r->at == '"')
                        return bad(r, "bare \" in non-quoted-field", err);
                if (!(*r->at == '\r' && r->at[1] == '\n'))
                        kc_buf_addc(b, *r->at);
        }
        return 0;
}

/* The fields of the next record; NULL at the end. Empty lines are skipped. */
static int next_record(struct reader *r, char ***ret, struct kc_error *err)
{
        while (*r->at == '\n' || (*r->at == '\r' && r->at[1] == '\n')) {
                r->line += *r->at == '\n';
                r->at++;
        }
        *ret = NULL;
        if (*r->at == '\0')
                return 0;
        KC_CLEANUP(kc_strv_freep) char **fields = NULL;
        for (;;) {
                KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
                int e;
                if (*r->at == '"') {
                        r->at++;
                        e = quoted_field(r, &b, err);
                } else {
                        e = plain_field(r, &b, err);
                }
                if (e < 0)
                        return e;
                kc_strv_push_take(&fields, kc_buf_take_str(&b));
                if (*r->at != ',')
                        break;
                r->at++;
        }
        if (*r->at == '\n') {
                r->at++;
                r->line++;
        }
        *ret = KC_TAKE(fields);
        return 0;
}

static void free_user(void *u)
{
        kc_user_unref(u);
}

static int add_record(struct kc_map *users, const char *path, char **f, int number, struct kc_error *err)
{
        size_t n = kc_strv_len(f);
        if (n < 3)
                return kc_error_set(err, EINVAL,
                    "token file '%s' must have at least 3 columns (token, user name, user uid), found %zu", path, n);
        KC_CLEANUP(kc_freep) char *token = kc_str_trim(f[0]);
        if (token[0] == '\0') {
                kc_log_warn(
                    "Empty token has been found in token file, ignoring", "path", path, "record", kc_log_i64(number));
                return 0;
        }
        if (kc_map_has(users, f[0]))
                kc_log_warn("Duplicate token has been found in token file, ignoring", "path", path, "record",
                    kc_log_i64(number));
        KC_CLEANUP(kc_strv_freep) char **groups = n >= 4 && f[3][0] != '\0' ? kc_strv_split(f[3], ',') : NULL;
        (void)kc_map_set(users, f[0], kc_user_new(f[1], f[2], groups));
        return 0;
}

int authn_token_file_load(const char *path, struct kc_map **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        int r = kc_file_read(path, TOKEN_FILE_MAX, &text, err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_map_freep) struct kc_map *users = kc_map_new(free_user);
        struct reader in = {.path = path, .at = kc_buf_str(&text), .line = 1};
        for (int number = 1;; number++) {
                KC_CLEANUP(kc_strv_freep) char **fields = NULL;
                r = next_record(&in, &fields, err);
                if (r < 0)
                        return r;
                if (!fields)
                        break;
                r = add_record(users, path, fields, number, err);
                if (r < 0)
                        return r;
        }
        *ret = KC_TAKE(users);
        return 0;
}
