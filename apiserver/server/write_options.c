/* The options of writes: query parameters, and who is writing. Worker threads. */
#include <string.h>

#include "base/str.h"
#include "server/patch.h"

enum { MANAGER_MAX = 128 }; /* bytes of fieldManager */

/* --- characters of fieldManager: unicode.IsPrint, by the blocks that have none */

static const struct {
        uint32_t from, to;
} unprintable[] = {
    {0x00, 0x1f},
    {0x7f, 0xa0},
    {0xad, 0xad},
    {0x61c, 0x61c},
    {0x1680, 0x1680},
    {0x180e, 0x180e},
    {0x2000, 0x200f},
    {0x2028, 0x202f},
    {0x205f, 0x206f},
    {0x3000, 0x3000},
    {0xd800, 0xf8ff},
    {0xfdd0, 0xfdef},
    {0xfeff, 0xfeff},
    {0xfff0, 0xfffb},
    {0xfffe, 0xffff},
    {0xe0000, 0xe00ff},
    {0xe01f0, 0x10ffff},
};

static bool printable(uint32_t rune)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(unprintable); i++)
                if (rune >= unprintable[i].from && rune <= unprintable[i].to)
                        return false;
        return true;
}

/* The character at s, which is not empty, and its length; U+FFFD of one byte where it is no UTF-8, as Go reads it. */
static uint32_t rune_at(const char *s, size_t *ret_len)
{
        const unsigned char *p = (const unsigned char *)s;
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        size_t n = p[0] < 0x80             ? 1
                   : (p[0] & 0xe0) == 0xc0 ? 2
                   : (p[0] & 0xf0) == 0xe0 ? 3
                   : (p[0] & 0xf8) == 0xf0 ? 4
                                           : 0;
        uint32_t rune = n <= 1 ? p[0] : p[0] & (0xffu >> (n + 1));
        *ret_len = 1;
        for (size_t i = 1; i < n; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0xfffd;
                rune = rune << 6 | (p[i] & 0x3f);
        }
        if (n == 0 || rune < least[n] || rune > 0x10ffff)
                return 0xfffd;
        *ret_len = n;
        return rune;
}

static void check_manager(const char *manager, struct kc_field_errors *errors)
{
        size_t len;
        if (strlen(manager) > MANAGER_MAX)
                kc_field_too_long(errors, "fieldManager", MANAGER_MAX);
        for (size_t i = 0; manager[i]; i += len) {
                uint32_t rune = rune_at(manager + i, &len);
                if (printable(rune))
                        continue;
                KC_CLEANUP(kc_freep)
                char *why = kc_asprintf("invalid character U+%04X (at position %zu)", rune, i);
                kc_field_invalid_str(errors, "fieldManager", manager, why);
        }
}

/* What the User-Agent begins with, without what cannot be printed. */
static char *manager_of_agent(const char *agent)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        size_t len;
        for (size_t i = 0; agent && agent[i] && agent[i] != '/'; i += len) {
                uint32_t rune = rune_at(agent + i, &len);
                if (b.len + len > MANAGER_MAX)
                        break;
                if (printable(rune))
                        kc_buf_add(&b, agent + i, len);
        }
        return kc_strdup(kc_buf_str(&b));
}

/* --- all options */

static void parse_field_validation(const char *text, struct write_options *w, struct kc_field_errors *errors)
{
        static const char *const supported[] = {"", "Ignore", "Strict", "Warn", NULL};
        w->field_validation = VALIDATE_WARN;
        if (kc_str_empty(text) || strcmp(text, "Warn") == 0)
                return;
        if (strcmp(text, "Ignore") == 0)
                w->field_validation = VALIDATE_IGNORE;
        else if (strcmp(text, "Strict") == 0)
                w->field_validation = VALIDATE_STRICT;
        else
                kc_field_not_supported(errors, "fieldValidation", text, supported);
}

/* What only patches have, or only applies. */
static void parse_patch_options(
    const struct api_req *q, const char *manager, struct write_options *w, struct kc_field_errors *errors)
{
        KC_CLEANUP(kc_freep) char *force = api_req_param(q, "force");
        if (!patch_is_apply(q)) {
                if (force)
                        kc_field_forbidden(errors, "force", "may not be specified for non-apply patch");
                return;
        }
        w->force = force && api_req_param_bool(q, "force", true);
        if (kc_str_empty(manager))
                kc_field_required(errors, "fieldManager", "is required for apply patch");
}

int write_options_parse(struct api_req *q, const char *kind, struct write_options *ret, struct kc_error *err)
{
        static const char *const all[] = {"All", NULL};
        *ret = (struct write_options){0};
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors errors = {0};
        KC_CLEANUP(kc_strv_freep) char **dry = kc_query_get_all(kc_http_req_query(q->http), "dryRun");
        KC_CLEANUP(kc_freep) char *validation = api_req_param(q, "fieldValidation");
        KC_CLEANUP(kc_freep) char *manager = api_req_param(q, "fieldManager");
        if (strcmp(kind, "PatchOptions") == 0)
                parse_patch_options(q, manager, ret, &errors);
        if (manager)
                check_manager(manager, &errors);
        for (size_t i = 0; dry && dry[i]; i++) {
                if (strcmp(dry[i], "All") != 0)
                        kc_field_not_supported(&errors, "dryRun", dry[i], all);
                q->dry_run = true;
        }
        parse_field_validation(validation, ret, &errors);
        if (errors.n > 0)
                return kc_err_invalid(err, "meta.k8s.io", kind, "", &errors);
        ret->options = kc_json_build("{'kind':%s,'apiVersion':'meta.k8s.io/v1'}", kind);
        if (q->dry_run)
                kc_json_push_str(kc_json_ensure_arr(ret->options, "dryRun"), "All");
        kc_json_set_str(ret->options, "fieldManager", kc_str_empty(manager) ? NULL : manager);
        kc_json_set_str(ret->options, "fieldValidation", kc_str_empty(validation) ? NULL : validation);
        ret->manager =
            kc_str_empty(manager) ? manager_of_agent(kc_http_req_header(q->http, "User-Agent")) : KC_TAKE(manager);
        return 0;
}

void write_options_done(struct write_options *w)
{
        kc_json_free(w->options);
        kc_free(w->manager);
        *w = (struct write_options){0};
}
