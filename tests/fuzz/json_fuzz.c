/* Any bytes as JSON: what is read prints, and what is printed reads back as the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
        if (!ok)
                abort();
}

/* Printed text is valid and prints the same again. (1.0 prints as 1, so the trees need not be equal.) */
static void check_reads_back(const struct kc_buf *text)
{
        struct json_object *o = NULL;
        struct kc_buf again = KC_BUF_INIT, before = KC_BUF_INIT;
        check(kc_json_parse(text->data, text->len, NULL, &o, NULL) == 0);
        kc_json_write_sorted(&again, o);
        struct json_object *copy = kc_json_copy(o);
        check(kc_json_equal(o, copy));
        kc_json_write_sorted(&before, copy);
        check(strcmp(again.data, before.data) == 0);
        kc_json_free(copy);
        kc_json_free(o);
        kc_buf_done(&again);
        kc_buf_done(&before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct kc_error err = KC_ERROR_INIT;
        struct json_object *o = NULL;
        struct kc_json_limits limits = {.max_bytes = 1 << 16, .max_depth = 40, .max_nodes = 2000};
        if (kc_json_parse((const char *)data, size, &limits, &o, &err) < 0) {
                check(err.errnum != 0 && err.message);
                kc_error_done(&err);
                return 0;
        }
        KC_CLEANUP(kc_strv_freep) char **duplicates = kc_json_duplicates((const char *)data, size);
        check(!duplicates || duplicates[0]);
        struct kc_buf text = KC_BUF_INIT;
        kc_json_write(&text, o);
        check_reads_back(&text);
        kc_buf_reset(&text);
        kc_json_write_pretty(&text, o, 4, true);
        check_reads_back(&text);
        kc_buf_done(&text);
        kc_json_free(o);
        return 0;
}
