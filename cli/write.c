/* Flags, requests and results of commands that change objects. Main thread. */
#include "cli/write.h"

#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "api/schema.h"
#include "base/str.h"
#include "cli/generate/generate.h"
#include "cli/printer.h"
#include "cli/printer_object.h"

static const char *const formats[] = {"go-template", "go-template-file", "json", "jsonpath", "jsonpath-as-json",
    "jsonpath-file", "name", "template", "templatefile", "yaml"};

static bool is_format(const char *output)
{
        size_t len = strcspn(output, "=");
        for (size_t i = 0; i < KC_ARRAY_LEN(formats); i++)
                if (strlen(formats[i]) == len && strncmp(formats[i], output, len) == 0)
                        return true;
        return false;
}

/* -o go-template --template=X is -o go-template=X; --template alone means go-template. */
static void join_template(struct kc_write *w)
{
        if (kc_str_empty(w->template))
                return;
        if (kc_str_empty(w->output))
                kc_str_set(&w->output, "go-template");
        if (strchr(w->output, '='))
                return;
        KC_CLEANUP(kc_freep) char *joined = kc_asprintf("%s=%s", w->output, w->template);
        kc_str_set(&w->output, joined);
}

int kc_validation_parse(const char *s, const char **ret, struct kc_error *err)
{
        static const struct {
                const char *word, *meaning;
        } words[] = {
            {"strict", "Strict"}, {"true", "Strict"}, {"warn", "Warn"}, {"ignore", "Ignore"}, {"false", "Ignore"}};
        *ret = "Strict";
        if (!s)
                return 0;
        for (size_t i = 0; i < KC_ARRAY_LEN(words); i++)
                if (strcmp(words[i].word, s) == 0) {
                        *ret = words[i].meaning;
                        return 0;
                }
        return kc_error_set(err, EINVAL,
            "invalid - validate option \"%s\"; must be one of: strict (or true), warn, ignore (or false)", s);
}

int kc_write_check(struct kc_write *w, struct kc_error *err)
{
        const char *validation;
        int e = kc_dry_run_parse(w->dry_run_flag, &w->dry_run, err);
        if (e < 0)
                return e;
        join_template(w);
        if (!kc_str_empty(w->output) && !is_format(w->output)) {
                KC_CLEANUP(kc_strv_freep) char **all = NULL;
                for (size_t i = 0; i < KC_ARRAY_LEN(formats); i++)
                        kc_strv_push(&all, formats[i]);
                KC_CLEANUP(kc_freep) char *list = kc_strv_join(all, ",");
                return kc_error_set(err, EINVAL,
                    "unable to match a printer suitable for the output format \"%s\", allowed formats are: %s",
                    w->output, list);
        }
        e = kc_cli_check_output(w->output, err);
        return e < 0 ? e : kc_validation_parse(w->validate, &validation, err);
}

bool kc_write_prints_objects(const struct kc_write *w)
{
        return !kc_str_empty(w->output) && !kc_streq(w->output, "name");
}

int kc_write_send(struct kc_cli *c, const struct kc_write *w, const struct kc_write_request *r,
    struct json_object **ret, struct kc_error *err)
{
        struct kc_rest *rest;
        const char *validation = NULL;
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        int e = kc_validation_parse(w->validate, &validation, err);
        if (e == 0)
                e = kc_cli_rest(c, &rest, err);
        if (e < 0)
                return e;
        kc_query_add(&q, "dryRun", w->dry_run == KC_DRY_RUN_SERVER ? "All" : NULL);
        kc_query_add(&q, "fieldManager", kc_str_empty(w->field_manager) ? r->default_manager : w->field_manager);
        kc_query_add(&q, "fieldValidation", r->validated ? validation : NULL);
        kc_query_add(&q, "force", r->force ? "true" : NULL);
        KC_CLEANUP(kc_freep) char *path = kc_cli_path(r->res, r->ns, r->name, r->sub, kc_buf_str(&q));
        return kc_rest_call(
            rest, r->method, path, r->content_type ? r->content_type : "application/json", r->body, ret, err);
}

/* JSON of Go structs keeps their order. */
static int print_typed_json(struct kc_cli *c, struct json_object *obj, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        int e = kc_generate_complete(obj, err);
        if (e < 0)
                return e;
        kc_print_json_in_order(&b, obj);
        (void)fwrite(kc_buf_str(&b), 1, b.len, c->out);
        return 0;
}

int kc_write_print(struct kc_cli *c, struct kc_write *w, const struct kc_api_resource *res,
    const struct json_object *obj, const char *operation, struct kc_error *err)
{
        if (!kc_write_prints_objects(w))
                return kc_cli_print_result(c, res, obj, w->output, operation, w->dry_run, err);
        KC_CLEANUP(kc_json_freep) struct json_object *copy = kc_json_copy(obj);
        if (!w->show_managed_fields)
                kc_strip_managed_fields(copy);
        if (w->typed && kc_streq(w->output, "json"))
                return print_typed_json(c, copy, err);
        int e = w->typed ? kc_generate_complete(copy, err) : 0;
        if (e == 0 && !w->printer)
                e = kc_object_printer_new(w->output, false, &w->printer, err);
        if (e == 0)
                e = kc_object_printer_print(w->printer, c, res, copy, err);
        if (e == 0)
                kc_object_printer_flush(w->printer, c);
        return e;
}
