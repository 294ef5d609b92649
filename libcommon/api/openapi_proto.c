/* The v2 document in the protobuf form of gnostic's openapi.v2.Document, which clients that speak v2 ask for: converted
 * from the JSON form. What no client of the API reads (responses, security) is left out. */
#include <string.h>

#include "api/discovery.h"
#include "api/openapi_internal.h"
#include "base/mem.h"
#include "base/str.h"

/* Field numbers of gnostic's messages. */
enum {
        DOCUMENT_SWAGGER = 1,
        DOCUMENT_INFO = 2,
        DOCUMENT_PATHS = 8,
        DOCUMENT_DEFINITIONS = 9,
        INFO_TITLE = 1,
        INFO_VERSION = 2,
        PATHS_PATH = 2,
        NAMED_NAME = 1, /* of NamedPathItem, NamedSchema, NamedAny */
        NAMED_VALUE = 2,
        PATH_ITEM_PARAMETERS = 9,
        OPERATION_TAGS = 1,
        OPERATION_DESCRIPTION = 3,
        OPERATION_ID = 5,
        OPERATION_PRODUCES = 6,
        OPERATION_CONSUMES = 7,
        OPERATION_PARAMETERS = 8,
        OPERATION_EXTENSION = 13,
        PARAMETERS_ITEM_PARAMETER = 1,
        PARAMETER_BODY = 1,
        PARAMETER_NON_BODY = 2,
        NON_BODY_QUERY = 3,
        NON_BODY_PATH = 4,
        BODY_NAME = 2,
        BODY_IN = 3,
        BODY_REQUIRED = 4,
        BODY_SCHEMA = 5,
        SUB_REQUIRED = 1, /* of query and path parameters */
        SUB_IN = 2,
        SUB_DESCRIPTION = 3,
        SUB_NAME = 4,
        SUB_QUERY_TYPE = 6,
        SUB_PATH_TYPE = 5,
        DEFINITIONS_PROPERTY = 1, /* of Definitions and Properties */
        SCHEMA_REF = 1,
        SCHEMA_FORMAT = 2,
        SCHEMA_DESCRIPTION = 4,
        SCHEMA_DEFAULT = 5,
        SCHEMA_REQUIRED = 19,
        SCHEMA_ENUM = 20,
        SCHEMA_ADDITIONAL_PROPERTIES = 21,
        SCHEMA_TYPE = 22,
        SCHEMA_ITEMS = 23,
        SCHEMA_PROPERTIES = 25,
        SCHEMA_EXTENSION = 31,
        ANY_YAML = 2,
        ONLY_FIELD = 1, /* of ItemsItem, TypeItem, AdditionalPropertiesItem */
};

static void add_varint(struct kc_buf *b, uint64_t v)
{
        for (; v >= 0x80; v >>= 7)
                kc_buf_addc(b, (char)(v | 0x80));
        kc_buf_addc(b, (char)v);
}

static void add_bytes(struct kc_buf *b, unsigned field, const char *data, size_t len)
{
        add_varint(b, (uint64_t)field << 3 | 2);
        add_varint(b, len);
        kc_buf_add(b, data, len);
}

static void add_text(struct kc_buf *b, unsigned field, const char *s)
{
        if (s)
                add_bytes(b, field, s, strlen(s));
}

static void add_true(struct kc_buf *b, unsigned field, bool v)
{
        if (!v)
                return;
        add_varint(b, (uint64_t)field << 3);
        add_varint(b, 1);
}

/* Adds the message and frees it. */
static void add_message(struct kc_buf *b, unsigned field, struct kc_buf *message)
{
        add_bytes(b, field, kc_buf_str(message), message->len);
        kc_buf_done(message);
}

static void add_texts(struct kc_buf *b, unsigned field, const struct json_object *array)
{
        for (size_t i = 0; i < kc_json_len(array); i++)
                add_text(b, field, kc_json_as_str(kc_json_idx(array, i)));
}

/* A JSON value as Any: its text, which is YAML as well. */
static void add_any(struct kc_buf *b, unsigned field, const struct json_object *v)
{
        struct kc_buf text = KC_BUF_INIT, any = KC_BUF_INIT;
        kc_json_write(&text, v);
        add_text(&any, ANY_YAML, kc_buf_str(&text));
        kc_buf_done(&text);
        add_message(b, field, &any);
}

static void add_extensions(struct kc_buf *b, unsigned field, const struct json_object *o)
{
        KC_JSON_FOREACH(o, key, val)
        {
                if (!kc_str_has_prefix(key, "x-"))
                        continue;
                struct kc_buf named = KC_BUF_INIT;
                add_text(&named, NAMED_NAME, key);
                add_any(&named, NAMED_VALUE, val);
                add_message(b, field, &named);
        }
}

static void add_schema(struct kc_buf *b, unsigned field, const struct json_object *schema);

static void add_named_schemas(struct kc_buf *b, unsigned field, const struct json_object *schemas)
{
        struct kc_buf all = KC_BUF_INIT;
        KC_JSON_FOREACH(schemas, key, val)
        {
                struct kc_buf named = KC_BUF_INIT;
                add_text(&named, NAMED_NAME, key);
                add_schema(&named, NAMED_VALUE, val);
                add_message(&all, DEFINITIONS_PROPERTY, &named);
        }
        add_message(b, field, &all);
}

/* A message whose only field is a schema or a text. */
static void add_wrapped_schema(struct kc_buf *b, unsigned field, const struct json_object *schema)
{
        struct kc_buf wrapper = KC_BUF_INIT;
        add_schema(&wrapper, ONLY_FIELD, schema);
        add_message(b, field, &wrapper);
}

static void add_schema(struct kc_buf *b, unsigned field, const struct json_object *schema)
{
        struct kc_buf m = KC_BUF_INIT;
        add_text(&m, SCHEMA_REF, kc_json_str(schema, "$ref"));
        add_text(&m, SCHEMA_FORMAT, kc_json_str(schema, "format"));
        add_text(&m, SCHEMA_DESCRIPTION, kc_json_str(schema, "description"));
        const struct json_object *v = kc_json_get(schema, "default");
        if (v)
                add_any(&m, SCHEMA_DEFAULT, v);
        add_texts(&m, SCHEMA_REQUIRED, kc_json_get(schema, "required"));
        v = kc_json_get(schema, "enum");
        for (size_t i = 0; i < kc_json_len(v); i++)
                add_any(&m, SCHEMA_ENUM, kc_json_idx(v, i));
        if ((v = kc_json_get(schema, "additionalProperties")))
                add_wrapped_schema(&m, SCHEMA_ADDITIONAL_PROPERTIES, v);
        if ((v = kc_json_get(schema, "type"))) {
                struct kc_buf type = KC_BUF_INIT;
                add_text(&type, ONLY_FIELD, kc_json_as_str(v));
                add_message(&m, SCHEMA_TYPE, &type);
        }
        if ((v = kc_json_get(schema, "items")))
                add_wrapped_schema(&m, SCHEMA_ITEMS, v);
        if ((v = kc_json_get(schema, "properties")))
                add_named_schemas(&m, SCHEMA_PROPERTIES, v);
        add_extensions(&m, SCHEMA_EXTENSION, schema);
        add_message(b, field, &m);
}

static void add_parameter(struct kc_buf *b, unsigned field, const struct json_object *p)
{
        const char *in = kc_json_str(p, "in"), *name = kc_json_str(p, "name");
        bool required = kc_json_bool(p, "required", false), path = kc_streq(in, "path");
        struct kc_buf m = KC_BUF_INIT, kind = KC_BUF_INIT, parameter = KC_BUF_INIT, item = KC_BUF_INIT;
        if (kc_streq(in, "body")) {
                add_text(&m, BODY_NAME, name);
                add_text(&m, BODY_IN, in);
                add_true(&m, BODY_REQUIRED, required);
                add_schema(&m, BODY_SCHEMA, kc_json_get(p, "schema"));
                add_message(&parameter, PARAMETER_BODY, &m);
        } else {
                add_true(&m, SUB_REQUIRED, required);
                add_text(&m, SUB_IN, in);
                add_text(&m, SUB_DESCRIPTION, kc_json_str(p, "description"));
                add_text(&m, SUB_NAME, name);
                add_text(&m, path ? SUB_PATH_TYPE : SUB_QUERY_TYPE, kc_json_str(p, "type"));
                add_message(&kind, path ? NON_BODY_PATH : NON_BODY_QUERY, &m);
                add_message(&parameter, PARAMETER_NON_BODY, &kind);
        }
        add_message(&item, PARAMETERS_ITEM_PARAMETER, &parameter);
        add_message(b, field, &item);
}

static void add_parameters(struct kc_buf *b, unsigned field, const struct json_object *parameters)
{
        for (size_t i = 0; i < kc_json_len(parameters); i++)
                add_parameter(b, field, kc_json_idx(parameters, i));
}

static void add_operation(struct kc_buf *b, unsigned field, const struct json_object *op)
{
        struct kc_buf m = KC_BUF_INIT;
        add_texts(&m, OPERATION_TAGS, kc_json_get(op, "tags"));
        add_text(&m, OPERATION_DESCRIPTION, kc_json_str(op, "description"));
        add_text(&m, OPERATION_ID, kc_json_str(op, "operationId"));
        add_texts(&m, OPERATION_PRODUCES, kc_json_get(op, "produces"));
        add_texts(&m, OPERATION_CONSUMES, kc_json_get(op, "consumes"));
        add_parameters(&m, OPERATION_PARAMETERS, kc_json_get(op, "parameters"));
        add_extensions(&m, OPERATION_EXTENSION, op);
        add_message(b, field, &m);
}

static void add_path(struct kc_buf *b, const char *name, const struct json_object *item)
{
        static const struct {
                const char *method;
                unsigned field;
        } methods[] = {{"get", 2}, {"put", 3}, {"post", 4}, {"delete", 5}, {"patch", 8}};
        struct kc_buf value = KC_BUF_INIT, named = KC_BUF_INIT;
        for (size_t i = 0; i < KC_ARRAY_LEN(methods); i++) {
                const struct json_object *op = kc_json_get(item, methods[i].method);
                if (op)
                        add_operation(&value, methods[i].field, op);
        }
        add_parameters(&value, PATH_ITEM_PARAMETERS, kc_json_get(item, "parameters"));
        add_text(&named, NAMED_NAME, name);
        add_message(&named, NAMED_VALUE, &value);
        add_message(b, PATHS_PATH, &named);
}

void openapi_write_proto(const struct json_object *doc, struct kc_buf *out)
{
        struct kc_buf info = KC_BUF_INIT, paths = KC_BUF_INIT;
        add_text(out, DOCUMENT_SWAGGER, kc_json_str(doc, "swagger"));
        add_text(&info, INFO_TITLE, kc_json_str_at(doc, "info.title"));
        add_text(&info, INFO_VERSION, kc_json_str_at(doc, "info.version"));
        add_message(out, DOCUMENT_INFO, &info);
        KC_JSON_FOREACH(kc_json_get(doc, "paths"), path, item)
        {
                add_path(&paths, path, item);
        }
        add_message(out, DOCUMENT_PATHS, &paths);
        add_named_schemas(out, DOCUMENT_DEFINITIONS, kc_json_get(doc, "definitions"));
}

void kc_openapi_v2_write_proto(struct kc_buf *out)
{
        KC_CLEANUP(kc_json_freep) struct json_object *doc = kc_openapi_v2();
        openapi_write_proto(doc, out);
}
