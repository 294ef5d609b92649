/* Build-time tool: turns schema/<group>/<version>.yaml into constant tables (struct kc_type and friends of
 * api/schema.h).
 *
 *   kc-schema-gen <output directory> <file.yaml>...
 *
 * A file has
 *   - group, version ("" is core; group "meta" has types only and is not served);
 *   - package: prefix of the names of its types, "io.k8s.api.apps.v1";
 *   - priority: upstream's group priority: higher ones come first in discovery;
 *   - resources: name, kind, singular, scope (Namespaced or Cluster), served (true), short-names, categories, verbs
 *     (all), delete-returns-object (not a Status), stored-as (group-version that objects are stored in),
 *     selectable-fields (besides name and namespace), subresources (name, kind, group, version, verbs, served), columns
 *     (name, type, format, priority, doc);
 *   - types by name: doc, map (atomic), type-meta (has apiVersion and kind), and fields in encoding order, or variants
 *     (the same, by the kind of JSON: object, array, boolean), or any (true: any JSON; object:
 *     clients are told of an object); union: the discriminator or
 *     "", and the fields of which one is set. The list types of resources are added here.
 * and a field has
 *   - wire: protobuf number; "2.5": field 5 of the message embedded as field 2;
 *   - type: string int32 int64 double bool bytes quantity int-or-string time micro-time duration raw, a type of this
 *     file, or group.version.Type of another; []T, map[string]T; *T where absent and zero differ;
 *   - required, keep: the zero value is encoded, too; required also says so to clients;
 *   - default (static), enum (allowed words), doc (one line);
 *   - list (atomic, set, map) and keys of map lists; map (atomic: the object is replaced as a whole; granular: it is
 * not, whatever its type says); wrapped: protobuf has the list as a message, { items = 1 };
 *   - patch, patch-key: strategies (merge, replace, retainKeys) and merge key of strategic merge. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "model.h"

static struct model model;

void die(const char *file, size_t line, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        fprintf(stderr, "%s:%zu: ", file, line + 1);
        vfprintf(stderr, fmt, ap);
        fputc('\n', stderr);
        va_end(ap);
        exit(1);
}

int main(int argc, char **argv)
{
        if (argc < 3) {
                fprintf(stderr, "usage: %s <output directory> <file.yaml>...\n", argv[0]);
                return 2;
        }
        for (int i = 2; i < argc; i++)
                model_load(&model, argv[i]);
        model_add_lists(&model);
        model_emit(&model, argv[1]);
        return 0;
}
