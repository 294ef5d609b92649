/* JSON Patch, merge patch, strategic merge patch and the three-way patches of client-side apply. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/patch.h"
#include "api/schema.h"
#include "base/mem.h"
#include "base/str.h"

/* Single quotes stand for double ones. */
static struct json_object *parse(const char *text)
{
        KC_CLEANUP(kc_freep) char *s = kc_str_replace_all(text, "'", "\"");
        struct json_object *o = NULL;
        struct kc_error err = KC_ERROR_INIT;
        if (kc_json_parse(s, strlen(s), NULL, &o, &err) < 0)
                fail_msg("%s: %s", text, kc_error_message(&err));
        return o;
}

static void assert_json(const struct json_object *got, const char *want)
{
        KC_CLEANUP(kc_json_freep) struct json_object *w = parse(want);
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(got);
        if (!kc_json_equal(got, w))
                fail_msg("got  %s\nwant %s", text, want);
}

static void assert_patches(const char *doc, const char *ops, const char *want)
{
        KC_CLEANUP(kc_json_freep) struct json_object *d = parse(doc), *p = parse(ops);
        struct kc_error err = KC_ERROR_INIT;
        if (kc_patch_json(&d, p, &err) < 0)
                fail_msg("%s: %s", ops, kc_error_message(&err));
        assert_json(d, want);
}

static void test_json_patch(void **state)
{
        (void)state;
        assert_patches("{'a':1}", "[{'op':'add','path':'/b','value':{'c':[1]}}]", "{'a':1,'b':{'c':[1]}}");
        assert_patches("{'a':[1,3]}", "[{'op':'add','path':'/a/1','value':2},{'op':'add','path':'/a/-','value':4}]",
            "{'a':[1,2,3,4]}");
        assert_patches("{'a':[1,2]}", "[{'op':'add','path':'/a/0','value':0}]", "{'a':[0,1,2]}");
        assert_patches("{'a':[1,2,3]}", "[{'op':'remove','path':'/a/1'}]", "{'a':[1,3]}");
        assert_patches("{'a':[1,2,3]}", "[{'op':'remove','path':'/a/-1'}]", "{'a':[1,2]}");
        assert_patches("{'a':{'b':1}}", "[{'op':'replace','path':'/a/b','value':null}]", "{'a':{'b':null}}");
        assert_patches("{'a/b':1,'c~d':2}",
            "[{'op':'replace','path':'/a~1b','value':3},{'op':'remove','path':'/c~0d'}]", "{'a/b':3}");
        assert_patches("{'a':{'x':1},'b':{}}", "[{'op':'move','from':'/a/x','path':'/b/y'}]", "{'a':{},'b':{'y':1}}");
        assert_patches("{'a':[1]}", "[{'op':'copy','from':'/a','path':'/b'},{'op':'add','path':'/b/-','value':2}]",
            "{'a':[1],'b':[1,2]}");
        assert_patches(
            "{'a':1}", "[{'op':'test','path':'/a','value':1},{'op':'test','path':'/b','value':null}]", "{'a':1}");
        assert_patches("{'a':1}", "[{'op':'replace','path':'','value':{'b':2}}]", "{'b':2}");
        assert_patches("{'a':1}", "[]", "{'a':1}");
}

static void assert_rejected(const char *doc, const char *ops, int code, const char *message)
{
        KC_CLEANUP(kc_json_freep) struct json_object *d = parse(doc), *p = parse(ops);
        struct kc_error err = KC_ERROR_INIT;
        if (kc_patch_json(&d, p, &err) == 0)
                fail_msg("%s is accepted", ops);
        assert_int_equal(err.code, code);
        assert_string_equal(kc_error_message(&err), message);
        kc_error_done(&err);
}

static void test_json_patch_rejects(void **state)
{
        (void)state;
        static const char *const bad[] = {"[{'op':'test','path':'/a','value':2}]", "[{'op':'remove','path':'/x'}]",
            "[{'op':'replace','path':'/x','value':1}]", "[{'op':'add','path':'/x/y','value':1}]",
            "[{'op':'add','path':'/l/5','value':1}]", "[{'op':'add','path':'/l/x','value':1}]",
            "[{'op':'remove','path':'/l/-'}]", "[{'op':'frob','path':'/a'}]", "[{'path':'/a'}]", "[{'op':'add'}]",
            "[{'op':'remove','path':''}]", "[{'op':'move','from':'/x','path':'/y'}]",
            "[{'op':'move','from':'/o','path':'/o/p'}]", "[{'op':'copy','path':'/y'}]", "[{'op':'add','path':'a'}]"};
        for (size_t i = 0; i < KC_ARRAY_LEN(bad); i++)
                assert_rejected("{'a':1,'l':[1],'o':{'p':1}}", bad[i], 422,
                    "the server rejected our request due to an error in our request");
        assert_rejected("{}", "{}", 400, "json: cannot unmarshal object into Go value of type jsonpatch.Patch");
}

/* Doubling the document with every copy ends at the limit instead of exhausting memory. */
static void test_json_patch_bomb(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *d = parse("{'a':['xxxxxxxxxxxxxxxx']}");
        KC_CLEANUP(kc_json_freep) struct json_object *ops = json_object_new_array();
        for (int i = 0; i < 60; i++)
                kc_json_push(ops, kc_json_build("{'op':'copy','from':'/a','path':'/a/-'}"));
        assert_int_equal(kc_patch_json(&d, ops, NULL), -EINVAL);
}

static void test_merge_patch(void **state)
{
        (void)state;
        static const char *const cases[][3] = {{"{'a':'b'}", "{'a':'c'}", "{'a':'c'}"},
            {"{'a':'b'}", "{'b':'c'}", "{'a':'b','b':'c'}"}, {"{'a':'b'}", "{'a':null}", "{}"},
            {"{'a':'b','b':'c'}", "{'a':null}", "{'b':'c'}"}, {"{'a':['b']}", "{'a':'c'}", "{'a':'c'}"},
            {"{'a':'c'}", "{'a':['b']}", "{'a':['b']}"},
            {"{'a':{'b':'c'}}", "{'a':{'b':'d','c':null}}", "{'a':{'b':'d'}}"},
            {"{'a':[{'b':'c'}]}", "{'a':[1]}", "{'a':[1]}"}, {"{'e':null}", "{'a':1}", "{'e':null,'a':1}"},
            {"{}", "{'a':{'bb':{'ccc':null}}}", "{'a':{'bb':{}}}"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(kc_json_freep) struct json_object *d = parse(cases[i][0]), *p = parse(cases[i][1]);
                assert_int_equal(kc_patch_merge(&d, p, NULL), 0);
                assert_json(d, cases[i][2]);
                /* Twice is the same as once. */
                assert_int_equal(kc_patch_merge(&d, p, NULL), 0);
                assert_json(d, cases[i][2]);
        }
        KC_CLEANUP(kc_json_freep) struct json_object *d = parse("{}"), *p = parse("[]");
        assert_int_equal(kc_patch_merge(&d, p, NULL), -EINVAL);
}

static void test_merge_diff(void **state)
{
        (void)state;
        static const char *const docs[] = {"{}", "{'a':1}", "{'a':{'b':1,'c':[1,2]}}", "{'a':{'b':2}}",
            "{'a':[{'x':1}],'b':'s'}", "{'a':[{'x':2}],'b':{'c':{'d':1}}}", "{'b':{'c':{}}}", "{'a':{}}"};
        for (size_t i = 0; i < KC_ARRAY_LEN(docs); i++) {
                for (size_t j = 0; j < KC_ARRAY_LEN(docs); j++) {
                        KC_CLEANUP(kc_json_freep) struct json_object *a = parse(docs[i]), *b = parse(docs[j]);
                        KC_CLEANUP(kc_json_freep) struct json_object *p = kc_patch_merge_diff(a, b);
                        assert_int_equal(p == NULL, i == j);
                        if (p)
                                assert_int_equal(kc_patch_merge(&a, p, NULL), 0);
                        assert_json(a, docs[j]);
                }
        }
}

static const struct kc_type *deployment(void)
{
        return kc_schema_kind("apps", "v1", "Deployment")->type;
}

static void assert_strategic_of(const struct kc_type *type, const char *doc, const char *patch, const char *want)
{
        KC_CLEANUP(kc_json_freep) struct json_object *d = parse(doc), *p = parse(patch);
        struct kc_error err = KC_ERROR_INIT;
        if (kc_patch_strategic(&d, p, type, &err) < 0)
                fail_msg("%s: %s", patch, kc_error_message(&err));
        assert_json(d, want);
}

static void assert_pod_patch(const char *doc, const char *patch, const char *want)
{
        assert_strategic_of(kc_schema_kind("", "v1", "Pod")->type, doc, patch, want);
}

static void test_strategic_lists(void **state)
{
        (void)state;
        /* Lists of objects merge by key; what the patch names comes in its order. */
        assert_pod_patch("{'spec':{'containers':[{'name':'a','image':'x','args':['1','2']},{'name':'b','image':'y'}]}}",
            "{'spec':{'containers':[{'name':'b','image':'z'},{'name':'c','image':'n'}]}}",
            "{'spec':{'containers':[{'name':'a','image':'x','args':['1','2']},{'name':'b','image':'z'},"
            "{'name':'c','image':'n'}]}}");
        assert_pod_patch("{'spec':{'containers':[{'name':'a'},{'name':'b'}]}}",
            "{'spec':{'containers':[{'name':'a','$patch':'delete'}]}}", "{'spec':{'containers':[{'name':'b'}]}}");
        assert_pod_patch("{'spec':{'containers':[{'name':'a'},{'name':'b'}]}}",
            "{'spec':{'containers':[{'$patch':'replace'},{'name':'c'}]}}", "{'spec':{'containers':[{'name':'c'}]}}");
        /* Atomic lists are replaced. */
        assert_pod_patch("{'spec':{'containers':[{'name':'a','args':['1','2']}]}}",
            "{'spec':{'containers':[{'name':'a','args':['3']}]}}",
            "{'spec':{'containers':[{'name':'a','args':['3']}]}}");
        assert_pod_patch("{'spec':{'tolerations':[{'key':'a'}]}}", "{'spec':{'tolerations':[{'key':'b'}]}}",
            "{'spec':{'tolerations':[{'key':'b'}]}}");
        /* Ports merge by number. */
        assert_pod_patch("{'spec':{'containers':[{'name':'a','ports':[{'containerPort':80,'name':'w'}]}]}}",
            "{'spec':{'containers':[{'name':'a','ports':[{'containerPort':80,'protocol':'UDP'}]}]}}",
            "{'spec':{'containers':[{'name':'a','ports':[{'containerPort':80,'name':'w','protocol':'UDP'}]}]}}");
        /* Lists of scalars that merge. */
        assert_pod_patch("{'metadata':{'finalizers':['a','b']}}", "{'metadata':{'finalizers':['c','a']}}",
            "{'metadata':{'finalizers':['c','a','b']}}");
        assert_pod_patch("{'metadata':{'finalizers':['a','b','c']}}",
            "{'metadata':{'$deleteFromPrimitiveList/finalizers':['b'],'$setElementOrder/finalizers':['c','a']}}",
            "{'metadata':{'finalizers':['c','a']}}");
        /* A list that was not there. */
        assert_pod_patch("{}", "{'spec':{'volumes':[{'name':'v','emptyDir':{}},{'name':'w','$patch':'delete'}]}}",
            "{'spec':{'volumes':[{'name':'v','emptyDir':{}}]}}");
}

static void test_strategic_order(void **state)
{
        (void)state;
        assert_pod_patch("{'spec':{'containers':[{'name':'a'},{'name':'s'},{'name':'b'}]}}",
            "{'spec':{'$setElementOrder/containers':[{'name':'b'},{'name':'a'}]}}",
            "{'spec':{'containers':[{'name':'s'},{'name':'b'},{'name':'a'}]}}");
        assert_pod_patch("{'spec':{'containers':[{'name':'s'},{'name':'a'}]}}",
            "{'spec':{'$setElementOrder/containers':[{'name':'n'},{'name':'a'}],'containers':[{'name':'n'}]}}",
            "{'spec':{'containers':[{'name':'n'},{'name':'s'},{'name':'a'}]}}");
}

static void test_strategic_objects(void **state)
{
        (void)state;
        assert_pod_patch("{'metadata':{'labels':{'a':'1','b':'2'}}}", "{'metadata':{'labels':{'a':null,'c':'3'}}}",
            "{'metadata':{'labels':{'b':'2','c':'3'}}}");
        assert_pod_patch("{'metadata':{'labels':{'a':'1'}}}", "{'metadata':{'labels':{'$patch':'replace','c':'3'}}}",
            "{'metadata':{'labels':{'c':'3'}}}");
        assert_pod_patch("{'metadata':{'labels':{'a':'1'}}}", "{'metadata':{'labels':{'$patch':'delete'}}}",
            "{'metadata':{'labels':{}}}");
        assert_strategic_of(deployment(),
            "{'spec':{'strategy':{'type':'RollingUpdate','rollingUpdate':{'maxSurge':1}}}}",
            "{'spec':{'strategy':{'$retainKeys':['type'],'type':'Recreate'}}}",
            "{'spec':{'strategy':{'type':'Recreate'}}}");
        assert_pod_patch("{'spec':{'volumes':[{'name':'v','emptyDir':{}}]}}",
            "{'spec':{'volumes':[{'name':'v','$retainKeys':['name','hostPath'],'hostPath':{'path':'/x'}}]}}",
            "{'spec':{'volumes':[{'name':'v','hostPath':{'path':'/x'}}]}}");
        assert_pod_patch("{}", "{'spec':{'securityContext':{'runAsUser':1,'fsGroup':null}}}",
            "{'spec':{'securityContext':{'runAsUser':1}}}");
}

static void assert_strategic_fails(const char *patch, int code, const char *message)
{
        KC_CLEANUP(kc_json_freep) struct json_object *d = parse("{'spec':{'containers':[{'name':'a'}]}}");
        KC_CLEANUP(kc_json_freep) struct json_object *p = parse(patch);
        struct kc_error err = KC_ERROR_INIT;
        assert_true(kc_patch_strategic(&d, p, kc_schema_kind("", "v1", "Pod")->type, &err) < 0);
        assert_int_equal(err.code, code);
        assert_string_equal(kc_error_message(&err), message);
        kc_error_done(&err);
}

static void test_strategic_errors(void **state)
{
        (void)state;
        assert_strategic_fails("{'spec':{'containers':[{'image':'x','args':['1',2,null]}]}}", 500,
            "map: map[args:[1 2 <nil>] image:x] does not contain declared merge key: name");
        assert_strategic_fails(
            "{'spec':{'$patch':'frob'}}", 500, "unknown patch type found: frob in map: map[$patch:frob]");
        assert_strategic_fails("{'spec':{'$retainKeys':['x'],'y':1}}", 400, "invalid patch format of retainKeys");
        assert_strategic_fails("{'spec':{'$setElementOrder/containers':[{'name':'b'}],'containers':[{'name':'c'}]}}",
            400, "The order in patch list:\n[map[name:c]]\n doesn't match $setElementOrder list:\n[map[name:b]]\n");
}

static void assert_three_way(
    const char *original, const char *modified, const char *current, const char *patch, const char *result)
{
        KC_CLEANUP(kc_json_freep) struct json_object *o = parse(original), *m = parse(modified), *c = parse(current);
        KC_CLEANUP(kc_json_freep) struct json_object *p = NULL, *again = NULL;
        struct kc_error err = KC_ERROR_INIT;
        if (kc_patch_three_way_strategic(o, m, c, deployment(), &p, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        assert_json(p, patch);
        assert_int_equal(kc_patch_strategic(&c, p, deployment(), &err), 0);
        assert_json(c, result);
        /* Applying what was applied changes nothing. */
        assert_int_equal(kc_patch_three_way_strategic(m, m, c, deployment(), &again, &err), 0);
        assert_int_equal(kc_patch_strategic(&c, again, deployment(), &err), 0);
        assert_json(c, result);
}

static void test_three_way(void **state)
{
        (void)state;
        /* The image changes, one env goes away, what others set stays. */
        assert_three_way("{'spec':{'template':{'spec':{'containers':[{'name':'a','image':'x:1','env':[{'name':'E',"
                         "'value':'1'},{'name':'F','value':'2'}]}]}}}}",
            "{'spec':{'template':{'spec':{'containers':[{'name':'a','image':'x:2','env':[{'name':'E','value':'1'}]}]}}"
            "}}",
            "{'spec':{'replicas':3,'template':{'spec':{'containers':[{'name':'a','image':'x:1','imagePullPolicy':"
            "'Always','env':[{'name':'E','value':'1'},{'name':'F','value':'2'}]},{'name':'side'}]}}}}",
            "{'spec':{'template':{'spec':{'$setElementOrder/containers':[{'name':'a'}],'containers':[{'name':'a',"
            "'image':'x:2','$setElementOrder/env':[{'name':'E'}],'env':[{'name':'F','$patch':'delete'}]}]}}}}",
            "{'spec':{'replicas':3,'template':{'spec':{'containers':[{'name':'a','image':'x:2','imagePullPolicy':"
            "'Always','env':[{'name':'E','value':'1'}]},{'name':'side'}]}}}}");
        /* A field that is no longer wanted is cleared. */
        assert_three_way("{'spec':{'replicas':2,'paused':true}}", "{'spec':{'replicas':2}}",
            "{'spec':{'replicas':2,'paused':true,'minReadySeconds':5}}", "{'spec':{'paused':null}}",
            "{'spec':{'replicas':2,'minReadySeconds':5}}");
        /* The strategy keeps only the keys of its new type. */
        assert_three_way("{'spec':{}}", "{'spec':{'strategy':{'type':'Recreate'}}}",
            "{'spec':{'strategy':{'type':'RollingUpdate','rollingUpdate':{'maxSurge':1}}}}",
            "{'spec':{'strategy':{'$retainKeys':['type'],'type':'Recreate'}}}",
            "{'spec':{'strategy':{'type':'Recreate'}}}");
        /* Nothing was applied before. */
        assert_three_way("null", "{'metadata':{'labels':{'a':'1'}}}", "{'metadata':{'labels':{'b':'2'}}}",
            "{'metadata':{'labels':{'a':'1'}}}", "{'metadata':{'labels':{'b':'2','a':'1'}}}");
        /* Finalizers: a list of scalars that merges. */
        assert_three_way("{'metadata':{'finalizers':['a','b']}}", "{'metadata':{'finalizers':['a','c']}}",
            "{'metadata':{'finalizers':['a','b','s']}}",
            "{'metadata':{'finalizers':['c'],'$deleteFromPrimitiveList/finalizers':['b'],"
            "'$setElementOrder/finalizers':['a','c']}}",
            "{'metadata':{'finalizers':['a','c','s']}}");
}

static void test_three_way_merge(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *o = parse("{'a':1,'b':{'x':1,'y':2}}");
        KC_CLEANUP(kc_json_freep) struct json_object *m = parse("{'b':{'x':3},'l':[1]}");
        KC_CLEANUP(kc_json_freep) struct json_object *c = parse("{'a':1,'b':{'x':1,'y':2,'z':3}}");
        KC_CLEANUP(kc_json_freep) struct json_object *p = NULL, *again = NULL;
        assert_int_equal(kc_patch_three_way_merge(o, m, c, &p, NULL), 0);
        assert_json(p, "{'a':null,'b':{'x':3,'y':null},'l':[1]}");
        assert_int_equal(kc_patch_merge(&c, p, NULL), 0);
        assert_json(c, "{'b':{'x':3,'z':3},'l':[1]}");
        assert_int_equal(kc_patch_three_way_merge(m, m, c, &again, NULL), 0);
        assert_json(again, "{}");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_json_patch),
            cmocka_unit_test(test_json_patch_rejects),
            cmocka_unit_test(test_json_patch_bomb),
            cmocka_unit_test(test_merge_patch),
            cmocka_unit_test(test_merge_diff),
            cmocka_unit_test(test_strategic_lists),
            cmocka_unit_test(test_strategic_order),
            cmocka_unit_test(test_strategic_objects),
            cmocka_unit_test(test_strategic_errors),
            cmocka_unit_test(test_three_way),
            cmocka_unit_test(test_three_way_merge),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
