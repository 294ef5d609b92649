/* JSONPath templates: whatever parses can be evaluated. */
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/str.h"
#include "json/jsonpath.h"

static const char document[] =
    "{\"a\":[{\"b\":1,\"c\":\"x\"},{\"b\":2.5,\"c\":null},{\"b\":true}],\"d\":{\"e\":[[1,2],[3]]}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct json_object *tree;
        KC_CLEANUP(kc_freep) char *text = kc_strndup((const char *)data, size);
        KC_CLEANUP(kc_jsonpath_freep) struct kc_jsonpath *p = NULL;
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        KC_CLEANUP(kc_freep) char *relaxed = NULL;
        if (!tree && kc_json_parse(document, sizeof(document) - 1, NULL, &tree, NULL) < 0)
                return 0;
        (void)kc_jsonpath_relax(text, &relaxed, NULL); /* may be refused */
        /* Descents multiply: what a command line asks for takes its time. */
        if (size < 200 && kc_jsonpath_parse(text, &p, NULL) == 0)
                (void)kc_jsonpath_print(p, tree, size % 2 == 0, &out, NULL);
        return 0;
}
