/* Objects edited before they are sent. Main thread. */
#include "cli/edit_tree.h"

#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/editor.h"
#include "cli/printer.h"
#include "json/yaml.h"

static const char header[] =
    "# Lines that begin with # are left out. An empty file, or one without a change, ends the edit.\n#\n";

int kc_edit_tree(struct kc_cli *c, const struct json_object *obj, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf edited = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        KC_CLEANUP(kc_freep) char *path = NULL;
        kc_buf_adds(&text, header);
        kc_print_yaml(&text, obj);
        int e = kc_editor_edit(c, kc_buf_str(&text), text.len, ".yaml", &edited, &path, err);
        if (e < 0) {
                if (path)
                        (void)unlink(path); /* holds nothing but obj */
                return e;
        }
        e = kc_yaml_parse(kc_buf_str(&edited), edited.len, NULL, &tree, err);
        if (e < 0) {
                (void)fprintf(c->err, "A copy of your changes has been stored to \"%s\"\n", path);
                return e;
        }
        (void)unlink(path); /* what it says is in tree */
        if (!tree || kc_json_equal(tree, obj)) {
                (void)fprintf(c->err, "Edit cancelled, %s\n", tree ? "no changes made." : "saved file was empty.");
                *ret = NULL;
                return 0;
        }
        *ret = KC_TAKE(tree);
        return 0;
}
