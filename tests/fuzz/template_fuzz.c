/* Go templates: whatever parses can be run. */
#include <ctype.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/template/template.h"

static const char document[] =
    "{\"a\":[{\"b\":1,\"c\":\"x\"},{\"b\":2.5,\"c\":null},{\"b\":true}],\"d\":{\"e\":[[1,2],[3]]}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A template may count as far as it likes; here it may not. */
static bool counts_far(const char *text)
{
        int digits = 0;
        for (; *text; text++) {
                digits = isxdigit((unsigned char)*text) || *text == '+' || *text == 'x' ? digits + 1 : 0;
                if (digits > 3)
                        return true;
        }
        return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct json_object *tree;
        KC_CLEANUP(kc_freep) char *text = kc_strndup((const char *)data, size);
        KC_CLEANUP(kc_template_freep) struct kc_template *t = NULL;
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        if (!tree && kc_json_parse(document, sizeof(document) - 1, NULL, &tree, NULL) < 0)
                return 0;
        /* Loops in loops multiply. */
        if (kc_template_parse("t", text, &t, NULL) == 0 && size < 200 && !counts_far(text))
                (void)kc_template_run(t, tree, &out, NULL);
        return 0;
}
