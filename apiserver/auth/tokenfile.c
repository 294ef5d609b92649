/* --token-auth-file: static tokens in a CSV file (RFC 4180 as Go's encoding/csv reads it). Read once at the start. */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "auth/authn_internal.h"
#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/str.h"

enum { TOKEN_FILE_MAX = 16 << 20 };

struct token_file {
        struct kc_map *users;   /* hash of the token (authn_token_hash) -> kc_user */
        char *const *audiences; /* borrowed */
};

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
                KC_CLEANUP(kc_buf_wipe) struct kc_buf b = KC_BUF_INIT;
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

static void wipe_fields(char ***fields)
{
        if (*fields && **fields)
                OPENSSL_cleanse(**fields, strlen(**fields)); /* the token */
        kc_strv_freep(fields);
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
        if (f[0][strspn(f[0], " \t\r\n\v\f")] == '\0') {
                kc_log_warn(
                    "Empty token has been found in token file, ignoring", "path", path, "record", kc_log_i64(number));
                return 0;
        }
        char hash[AUTHN_HASH_LEN];
        authn_token_hash(f[0], hash);
        if (kc_map_has(users, hash))
                kc_log_warn("Duplicate token has been found in token file, ignoring", "path", path, "record",
                    kc_log_i64(number));
        KC_CLEANUP(kc_strv_freep) char **groups = n >= 4 && f[3][0] != '\0' ? kc_strv_split(f[3], ',') : NULL;
        (void)kc_map_set(users, hash, kc_user_new(f[1], f[2], groups));
        return 0;
}

static int load(const char *path, struct kc_map **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_wipe) struct kc_buf text = KC_BUF_INIT;
        int r = kc_file_read(path, TOKEN_FILE_MAX, &text, err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_map_freep) struct kc_map *users = kc_map_new(free_user);
        struct reader in = {.path = path, .at = kc_buf_str(&text), .line = 1};
        for (int number = 1;; number++) {
                KC_CLEANUP(wipe_fields) char **fields = NULL;
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

static void token_file_free(void *self)
{
        struct token_file *f = self;
        kc_map_free(f->users);
        kc_free(f);
}

static int authenticate(void *self, const struct authn_token *t, struct authn_found *ret, struct kc_error *err)
{
        const struct token_file *f = self;
        char hash[AUTHN_HASH_LEN];
        (void)err; /* a token is in the file, or it is not ours */
        authn_token_hash(t->text, hash);
        const struct kc_user *u = kc_map_get(f->users, hash);
        if (!u)
                return 0;
        KC_CLEANUP(kc_strv_freep) char **both = authn_intersect(f->audiences, t->audiences);
        if (kc_strv_len(t->audiences) > 0 && kc_strv_len(both) == 0)
                return 0;
        ret->user = kc_user_ref(u);
        ret->audiences = KC_TAKE(both);
        return 1;
}

int authn_token_file_new(const char *path, char *const *audiences, struct authn_method *ret, struct kc_error *err)
{
        struct kc_map *users = NULL;
        int r = load(path, &users, err);
        if (r < 0)
                return r;
        struct token_file *f = KC_NEW(struct token_file);
        *f = (struct token_file){.users = users, .audiences = audiences};
        *ret = (struct authn_method){.authenticate = authenticate, .free = token_file_free, .self = f};
        return 0;
}
