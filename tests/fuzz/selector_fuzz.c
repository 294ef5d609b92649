/* Any text as a label selector and as a field selector: what is read prints, and what is printed reads back the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/selector.h"
#include "base/mem.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
        if (!ok)
                abort();
}

static const char *no_fields(const char *field, void *arg)
{
        (void)field;
        (void)arg;
        return NULL;
}

static void label_selector(const char *text)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *s = NULL, *again = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *labels = kc_json_build("{'a':'b','x':'5'}");
        struct kc_error err = KC_ERROR_INIT;
        if (kc_selector_parse(text, &s, &err) < 0) {
                check(err.errnum != 0 && err.message);
                kc_error_done(&err);
                return;
        }
        KC_CLEANUP(kc_freep) char *printed = kc_selector_format(s);
        check(kc_selector_parse(printed, &again, NULL) == 0);
        KC_CLEANUP(kc_freep) char *reprinted = kc_selector_format(again);
        check(strcmp(printed, reprinted) == 0);
        check(kc_selector_matches(s, labels) == kc_selector_matches(again, labels));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        KC_CLEANUP(kc_freep) char *text = kc_strndup((const char *)data, size);
        KC_CLEANUP(kc_field_selector_freep) struct kc_field_selector *fields = NULL;
        label_selector(text);
        if (kc_field_selector_parse(text, &fields, NULL) == 0)
                (void)kc_field_selector_matches(fields, no_fields, NULL); /* only that it ends */
        return 0;
}
