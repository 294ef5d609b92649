/* Any JSON as an OpenAPI v2 document, which is written as protobuf and read again by the numbers of gnostic's messages:
 * every byte belongs to a field that its message has, and nothing of the paths and definitions is lost. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/openapi_internal.h"
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum message {
        NUMBER = -2,
        TEXT = -1,
        DOCUMENT,
        INFO,
        PATHS,
        NAMED_PATH_ITEM,
        PATH_ITEM,
        OPERATION,
        PARAMETERS_ITEM,
        PARAMETER,
        BODY,
        NON_BODY,
        SUB,
        DEFINITIONS,
        NAMED_SCHEMA,
        SCHEMA,
        WRAPPED_SCHEMA,
        TYPE_ITEM,
        NAMED_ANY,
        ANY,
};

static const struct field {
        enum message in;
        unsigned number;
        enum message type;
} fields[] = {
    {DOCUMENT, 1, TEXT},
    {DOCUMENT, 2, INFO},
    {DOCUMENT, 8, PATHS},
    {DOCUMENT, 9, DEFINITIONS},
    {INFO, 1, TEXT},
    {INFO, 2, TEXT},
    {PATHS, 2, NAMED_PATH_ITEM},
    {NAMED_PATH_ITEM, 1, TEXT},
    {NAMED_PATH_ITEM, 2, PATH_ITEM},
    {PATH_ITEM, 2, OPERATION},
    {PATH_ITEM, 3, OPERATION},
    {PATH_ITEM, 4, OPERATION},
    {PATH_ITEM, 5, OPERATION},
    {PATH_ITEM, 8, OPERATION},
    {PATH_ITEM, 9, PARAMETERS_ITEM},
    {OPERATION, 1, TEXT},
    {OPERATION, 3, TEXT},
    {OPERATION, 5, TEXT},
    {OPERATION, 6, TEXT},
    {OPERATION, 7, TEXT},
    {OPERATION, 8, PARAMETERS_ITEM},
    {OPERATION, 13, NAMED_ANY},
    {PARAMETERS_ITEM, 1, PARAMETER},
    {PARAMETER, 1, BODY},
    {PARAMETER, 2, NON_BODY},
    {BODY, 2, TEXT},
    {BODY, 3, TEXT},
    {BODY, 4, NUMBER},
    {BODY, 5, SCHEMA},
    {NON_BODY, 3, SUB},
    {NON_BODY, 4, SUB},
    {SUB, 1, NUMBER},
    {SUB, 2, TEXT},
    {SUB, 3, TEXT},
    {SUB, 4, TEXT},
    {SUB, 5, TEXT},
    {SUB, 6, TEXT},
    {DEFINITIONS, 1, NAMED_SCHEMA},
    {NAMED_SCHEMA, 1, TEXT},
    {NAMED_SCHEMA, 2, SCHEMA},
    {SCHEMA, 1, TEXT},
    {SCHEMA, 2, TEXT},
    {SCHEMA, 4, TEXT},
    {SCHEMA, 5, ANY},
    {SCHEMA, 19, TEXT},
    {SCHEMA, 20, ANY},
    {SCHEMA, 21, WRAPPED_SCHEMA},
    {SCHEMA, 22, TYPE_ITEM},
    {SCHEMA, 23, WRAPPED_SCHEMA},
    {SCHEMA, 25, DEFINITIONS},
    {SCHEMA, 31, NAMED_ANY},
    {WRAPPED_SCHEMA, 1, SCHEMA},
    {TYPE_ITEM, 1, TEXT},
    {NAMED_ANY, 1, TEXT},
    {NAMED_ANY, 2, ANY},
    {ANY, 2, TEXT},
};

static void check(bool ok)
{
        if (!ok)
                abort();
}

static uint64_t varint(const uint8_t **at, const uint8_t *end)
{
        uint64_t v = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
                check(*at < end);
                v |= (uint64_t)(**at & 0x7f) << shift;
                if (*(*at)++ < 0x80)
                        return v;
        }
        abort();
}

static enum message type_of(enum message in, uint64_t number)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(fields); i++)
                if (fields[i].in == in && fields[i].number == number)
                        return fields[i].type;
        abort();
}

/* How many paths and definitions the document has. */
struct counts {
        size_t paths, definitions;
};

static void read_message(enum message in, unsigned depth, const uint8_t *at, const uint8_t *end, struct counts *n)
{
        while (at < end) {
                uint64_t tag = varint(&at, end);
                enum message type = type_of(in, tag >> 3);
                check((tag & 7) == (type == NUMBER ? 0 : 2));
                uint64_t v = varint(&at, end);
                if (type == NUMBER) {
                        check(v == 1);
                        continue;
                }
                check(v <= (size_t)(end - at));
                n->paths += type == NAMED_PATH_ITEM;
                n->definitions += type == NAMED_SCHEMA && depth == 1;
                if (type != TEXT)
                        read_message(type, depth + 1, at, at + v, n);
                at += v;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct kc_json_limits limits = {.max_bytes = 1 << 16, .max_depth = 60, .max_nodes = 5000};
        KC_CLEANUP(kc_json_freep) struct json_object *doc = NULL;
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        if (kc_json_parse((const char *)data, size, &limits, &doc, NULL) < 0)
                return 0;
        openapi_write_proto(doc, &out);
        struct counts n = {0};
        const uint8_t *at = (const uint8_t *)kc_buf_str(&out);
        read_message(DOCUMENT, 0, at, at + out.len, &n);
        check(n.paths == kc_json_n_keys(kc_json_get(doc, "paths")));
        check(n.definitions == kc_json_n_keys(kc_json_get(doc, "definitions")));
        return 0;
}
