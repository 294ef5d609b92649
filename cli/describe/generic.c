/* Objects of kinds without a describer: fields by their names, in order. */
#include <ctype.h>
#include <string.h>

#include "cli/describe/internal.h"

/* Shown above by itself, or of no interest. */
static const char *const skipped[] = {
    ".metadata.managedFields", ".metadata.name", ".metadata.namespace", ".metadata.labels", ".metadata.annotations"};

static bool is_skipped(const char *path)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(skipped); i++)
                if (kc_streq(path, skipped[i]))
                        return true;
        return false;
}

enum class { LOWER, UPPER, DIGIT, OTHER };
static enum class class_of(char c) {
        unsigned char u = (unsigned char)c; return islower(u)   ? LOWER
                                                   : isupper(u) ? UPPER
                                                   : isdigit(u) ? DIGIT
                                                                : OTHER;
}

static void add_word(struct kc_buf *b, const char *word, size_t len)
{
        static const char *const acronyms[] = {"API", "URL", "UID", "OSB", "GUID"};
        kc_buf_adds(b, b->len ? " " : "");
        for (size_t i = 0; i < KC_ARRAY_LEN(acronyms); i++)
                if (strlen(acronyms[i]) == len && strncasecmp(word, acronyms[i], len) == 0) {
                        kc_buf_adds(b, acronyms[i]);
                        return;
                }
        kc_buf_addc(b, (char)toupper((unsigned char)word[0]));
        kc_buf_add(b, word + 1, len - 1);
}

/* "podCIDR" is "Pod CIDR", "someURLPath" is "Some URL Path". What has other characters than letters and '-' stays. */
static char *label_of(const char *field)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        for (const char *p = field; *p; p++)
                if (!isalpha((unsigned char)*p) && *p != '-' && (unsigned char)*p < 0x80)
                        return kc_strdup(field);
        size_t start = 0, len = strlen(field);
        for (size_t i = 1; i <= len; i++) {
                enum class before = class_of(field[i - 1]), here = i < len ? class_of(field[i]) : OTHER;
                bool ends = i == len;
                if (before == UPPER && here == UPPER) /* the last capital begins the next word */
                        ends = ends || (i + 1 < len && class_of(field[i + 1]) == LOWER);
                else if (!(before == UPPER && here == LOWER && i - start == 1))
                        ends = ends || before != here;
                if (ends) {
                        add_word(&b, field + start, i - start);
                        start = i;
                }
        }
        return kc_buf_take_str(&b);
}

static void describe_content(struct kc_describing *d, int level, const struct json_object *content, const char *prefix);

static void describe_list(struct kc_describing *d, int level, const struct json_object *list, const char *path)
{
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *v = kc_json_idx(list, i);
                if (kc_json_is_obj(v)) {
                        describe_content(d, level, v, path);
                } else {
                        KC_CLEANUP(kc_freep) char *text = v ? kc_scalar(v) : kc_strdup("<nil>");
                        kc_line(d, level, "%s\n", text);
                }
        }
}

static void describe_content(struct kc_describing *d, int level, const struct json_object *content, const char *prefix)
{
        KC_CLEANUP(kc_strv_freep) char **keys = kc_sorted_keys(content);
        for (char **k = keys; k && *k; k++) {
                KC_CLEANUP(kc_freep) char *path = kc_asprintf("%s.%s", prefix, *k);
                KC_CLEANUP(kc_freep) char *label = label_of(*k);
                const struct json_object *v = kc_json_get(content, *k);
                if (is_skipped(path))
                        continue;
                if (kc_json_is_obj(v)) {
                        kc_line(d, level, "%s:\n", label);
                        describe_content(d, level + 1, v, path);
                } else if (kc_json_is_arr(v)) {
                        kc_line(d, level, "%s:\n", label);
                        describe_list(d, level + 1, v, path);
                } else {
                        KC_CLEANUP(kc_freep) char *text = v ? kc_scalar(v) : kc_strdup("<nil>");
                        kc_line(d, level, "%s:\t%s\n", label, text);
                }
        }
}

int kc_describe_generic(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        kc_describe_name(d);
        kc_describe_namespace(d);
        kc_describe_meta(d);
        describe_content(d, 0, d->obj, "");
        kc_describe_events(d);
        return 0;
}
