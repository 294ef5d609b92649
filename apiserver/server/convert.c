/* Resources that are served in another version than they are stored in: events.k8s.io/v1 Events are stored as core/v1
 * Events. Pure: any thread. */
#include <string.h>

#include "api/convert.h"
#include "base/log.h"
#include "base/str.h"
#include "server/server_internal.h"

bool convert_needed(const struct kc_resource *row)
{
        return !kc_streq(row->group, row->storage_group) || !kc_streq(row->version, row->storage_version);
}

static void convert(struct json_object *tree, const struct kc_resource *to)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        /* A row names its storage version because there is a conversion. */
        if (kc_convert(tree, to, &err) < 0)
                kc_log_error(&err, "Cannot convert, ignoring", "kind", to->kind);
}

void convert_to_storage(const struct kc_resource *row, struct json_object *tree)
{
        const struct kc_resource *stored = kc_schema_resource(row->storage_group, row->storage_version, row->resource);
        if (convert_needed(row) && stored)
                convert(tree, stored);
}

void convert_from_storage(const struct kc_resource *row, struct json_object *tree)
{
        if (convert_needed(row))
                convert(tree, row);
}

const char *convert_field(const struct kc_resource *row, const char *field)
{
        static const struct {
                const char *served, *stored;
        } fields[] = {
            {"regarding.kind", "involvedObject.kind"},
            {"regarding.namespace", "involvedObject.namespace"},
            {"regarding.name", "involvedObject.name"},
            {"regarding.uid", "involvedObject.uid"},
            {"regarding.apiVersion", "involvedObject.apiVersion"},
            {"regarding.resourceVersion", "involvedObject.resourceVersion"},
            {"regarding.fieldPath", "involvedObject.fieldPath"},
            {"reportingController", "reportingComponent"},
        };
        if (!convert_needed(row))
                return field;
        for (size_t i = 0; i < KC_ARRAY_LEN(fields); i++)
                if (strcmp(fields[i].served, field) == 0)
                        return fields[i].stored;
        return field;
}
