/* Ready-made index functions. Any thread. */
#include "base/str.h"
#include "client/informer.h"

void kc_index_by_namespace(const struct kc_object *obj, char ***values)
{
        if (!kc_str_empty(kc_object_namespace(obj)))
                kc_strv_push(values, kc_object_namespace(obj));
}

void kc_index_by_controller_uid(const struct kc_object *obj, char ***values)
{
        const char *uid = kc_json_str(kc_meta_controller_ref(kc_object_json(obj)), "uid");
        if (uid)
                kc_strv_push(values, uid);
}

void kc_index_by_node_name(const struct kc_object *obj, char ***values)
{
        const char *node = kc_json_str_at(kc_object_json(obj), "spec.nodeName");
        if (!kc_str_empty(node))
                kc_strv_push(values, node);
}
