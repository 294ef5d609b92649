/* Objects as JSON and YAML. Any thread. */
#include "base/str.h"
#include "cli/printer.h"
#include "json/yaml.h"

/* Go's encoding/json escapes these in strings, which is the only place where they can be. */
static void escape_html(struct kc_buf *out, const char *text, size_t len)
{
        size_t from = 0;
        for (size_t i = 0; i < len; i++) {
                if (text[i] != '<' && text[i] != '>' && text[i] != '&')
                        continue;
                kc_buf_add(out, text + from, i - from);
                kc_buf_addf(out, "\\u%04x", text[i]);
                from = i + 1;
        }
        kc_buf_add(out, text + from, len - from);
}

static void print_json(struct kc_buf *out, const struct json_object *o, bool sorted)
{
        enum { INDENT = 4 };
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_json_write_pretty(&b, o, INDENT, sorted);
        escape_html(out, kc_buf_str(&b), b.len);
        if (out->len == 0 || out->data[out->len - 1] != '\n')
                kc_buf_addc(out, '\n');
}

void kc_print_json(struct kc_buf *out, const struct json_object *o)
{
        print_json(out, o, true);
}

void kc_print_json_in_order(struct kc_buf *out, const struct json_object *o)
{
        print_json(out, o, false);
}

void kc_print_yaml(struct kc_buf *out, const struct json_object *o)
{
        kc_yaml_write(out, o);
        if (out->len > 0 && out->data[out->len - 1] != '\n')
                kc_buf_addc(out, '\n');
}

struct json_object *kc_list_of(struct json_object *take_items)
{
        return kc_json_build(
            "{'apiVersion':'v1','items':%o,'kind':'List','metadata':{'resourceVersion':''}}", take_items);
}

void kc_strip_managed_fields(struct json_object *o)
{
        struct json_object *meta = kc_json_get_mut(o, "metadata");
        if (kc_json_is_obj(meta))
                kc_json_del(meta, "managedFields");
        struct json_object *items = kc_json_get_mut(o, "items");
        for (size_t i = 0; i < kc_json_len(items); i++)
                kc_strip_managed_fields(kc_json_idx_mut(items, i));
}
