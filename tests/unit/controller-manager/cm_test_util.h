/* What the controller manager's tests share: cmocka with its headers, trees and objects from text with single quotes.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/object.h"
#include "base/str.h"
#include "json/json.h"

static inline KC_UNUSED struct json_object *tree(const char *text)
{
        struct json_object *t = NULL;
        struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_freep) char *json = kc_str_replace_all(text, "'", "\"");
        if (kc_json_parse(json, strlen(json), NULL, &t, &err) < 0)
                fail_msg("%s: %s", kc_error_message(&err), json);
        return t;
}

static inline KC_UNUSED struct kc_object *object(const char *text)
{
        return kc_object_new(tree(text));
}
