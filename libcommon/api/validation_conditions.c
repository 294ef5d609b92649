/* metav1.Condition, which many kinds have in their status. Any thread. */
#include <ctype.h>
#include <string.h>

#include "api/validation_internal.h"
#include "base/mem.h"
#include "base/str.h"

enum { MAX_REASON = 1024, MAX_MESSAGE = 32 << 10 };

static bool is_word(char c)
{
        return isalnum((unsigned char)c) || c == '_';
}

static bool is_reason(const char *s)
{
        size_t n = strlen(s);
        for (size_t i = 0; i < n; i++)
                if (!is_word(s[i]) && s[i] != ',' && s[i] != ':')
                        return false;
        return n > 0 && isalpha((unsigned char)s[0]) && is_word(s[n - 1]);
}

static void reason(struct kc_v *v, const struct kc_vpath *p, const char *s)
{
        if (!*s) {
                kc_v_required(v, p, "must be set");
                return;
        }
        if (!is_reason(s))
                kc_v_invalid_str(v, p, s,
                    "a condition reason must start with alphabetic character, optionally followed by a string of "
                    "alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. "
                    "'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used "
                    "for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')");
        if (strlen(s) > MAX_REASON)
                kc_v_too_long(v, p, MAX_REASON);
}

static void condition(struct kc_v *v, const struct kc_vpath *p, const struct json_object *c)
{
        static const char *const statuses[] = {"False", "True", "Unknown", NULL};
        int64_t generation = kc_json_int(c, "observedGeneration", 0);
        kc_v_name(v, V_CHILD(p, "type"), kc_v_str(c, "type"), kc_name_label_key);
        if (!kc_v_in(kc_v_str(c, "status"), statuses))
                kc_v_not_supported(v, V_CHILD(p, "status"), kc_v_str(c, "status"), statuses);
        if (generation < 0)
                kc_v_invalid_int(
                    v, V_CHILD(p, "observedGeneration"), generation, "must be greater than or equal to zero");
        if (!kc_json_get(c, "lastTransitionTime"))
                kc_v_required(v, V_CHILD(p, "lastTransitionTime"), "must be set");
        reason(v, V_CHILD(p, "reason"), kc_v_str(c, "reason"));
        if (strlen(kc_v_str(c, "message")) > MAX_MESSAGE)
                kc_v_too_long(v, V_CHILD(p, "message"), MAX_MESSAGE);
}

void kc_v_conditions(struct kc_v *v, const struct kc_vpath *p, const struct json_object *conditions)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *types = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(conditions); i++) {
                const struct json_object *c = kc_json_idx(conditions, i);
                if (!kc_v_first(types, kc_v_str(c, "type")))
                        kc_v_duplicate(v, V_CHILD(V_INDEX(p, i), "type"), kc_v_str(c, "type"));
                condition(v, V_INDEX(p, i), c);
        }
}
