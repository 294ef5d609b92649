/* Decoding as into Go structs: errors, unknown fields, canonical form, defaults, structural validation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/codec.h"
#include "base/str.h"

static char *single_to_double(const char *s)
{
        return kc_str_replace_all(s, "'", "\"");
}

static struct json_object *parse(const char *text)
{
        char *json = single_to_double(text);
        struct json_object *o = NULL;
        assert_int_equal(kc_json_parse(json, strlen(json), NULL, &o, NULL), 0);
        kc_free(json);
        return o;
}

static const struct kc_type *type_of(const char *name)
{
        const struct kc_type *t = kc_schema_type(name);
        assert_non_null(t);
        return t;
}

#define CORE "io.k8s.api.core.v1."

static void expect_json_take(struct json_object *o, const char *expected)
{
        char *want = single_to_double(expected), *got = kc_json_to_str(o);
        assert_string_equal(got, want);
        kc_free(want);
        kc_free(got);
        kc_json_free(o);
}

static void expect_decoded(const char *type, const char *in, const char *expected)
{
        struct json_object *o = parse(in);
        struct kc_error err = KC_ERROR_INIT;
        if (kc_codec_decode(o, type_of(type), NULL, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        expect_json_take(o, expected);
}

static void expect_error(const char *type, const char *in, const char *message)
{
        struct json_object *o = parse(in);
        struct kc_error err = KC_ERROR_INIT;
        assert_true(kc_codec_decode(o, type_of(type), NULL, &err) < 0);
        assert_string_equal(kc_error_message(&err), message);
        assert_int_equal(err.code, 400);
        assert_true(kc_error_is(&err, KC_REASON_BAD_REQUEST));
        kc_error_done(&err);
        kc_json_free(o);
}

static void wrong_types(void **state)
{
        (void)state;
        expect_error(CORE "Pod", "{'spec':{'containers':'a'}}",
            "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container");
        expect_error(CORE "Pod", "{'spec':{'containers':[{'env':[{'name':'a','value':1}]}]}}",
            "json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string");
        expect_error(CORE "Pod", "{'metadata':{'labels':{'a':true}}}",
            "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string");
        expect_error("io.k8s.api.apps.v1.Deployment", "{'spec':{'replicas':'3'}}",
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32");
        expect_error("io.k8s.api.apps.v1.Deployment", "{'spec':{'replicas':1.5}}",
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32");
        expect_error("io.k8s.api.apps.v1.Deployment", "{'spec':{'replicas':3000000000}}",
            "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32");
        expect_error(CORE "ConfigMap", "{'data':[]}",
            "json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string");
        expect_error(CORE "Pod", "[]", "json: cannot unmarshal array into Go value of type v1.Pod");
        expect_error(
            CORE "Pod", "{'spec':[]}", "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec");
}

static void wrong_values(void **state)
{
        (void)state;
        expect_error(CORE "Secret", "{'data':{'a':'b!=='}}", "illegal base64 data at input byte 1");
        expect_error(CORE "Pod", "{'spec':{'containers':[{'resources':{'limits':{'cpu':'lots'}}}]}}",
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
        expect_error(CORE "Pod", "{'spec':{'containers':[{'resources':{'limits':{'cpu':'1mm'}}}]}}",
            "unable to parse quantity's suffix");
        expect_error(CORE "Pod", "{'metadata':{'creationTimestamp':'yesterday'}}",
            "parsing time \"yesterday\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"yesterday\" as \"2006\"");
        expect_error(CORE "Pod", "{'metadata':{'creationTimestamp':3}}",
            "json: cannot unmarshal number into Go value of type string");
        expect_error(CORE "Service", "{'spec':{'ports':[{'targetPort':true}]}}",
            "json: cannot unmarshal bool into Go value of type int32");
}

static void unknown_fields(void **state)
{
        (void)state;
        struct json_object *o = parse(
            "{'spec':{'foo':1,'containers':[{'name':'a','Image':'b'}]},'metadata':{'labels':{'x':'y'},'naem':'z'}}");
        char **unknown = NULL;
        assert_int_equal(kc_codec_decode(o, type_of(CORE "Pod"), &unknown, NULL), 0);
        assert_string_equal(unknown[0], "spec.foo");
        assert_string_equal(unknown[1], "spec.containers[0].Image");
        assert_string_equal(unknown[2], "metadata.naem");
        assert_null(unknown[3]);
        kc_strv_free(unknown);
        expect_json_take(
            o, "{'metadata':{'labels':{'x':'y'}},'spec':{'containers':[{'name':'a','resources':{}}]},'status':{}}");
}

static void many_unknown_fields(void **state)
{
        (void)state;
        struct json_object *o = kc_json_build("{}");
        for (int i = 0; i < 200000; i++) {
                char key[16];
                (void)snprintf(key, sizeof(key), "k%d", i);
                kc_json_set_int(o, key, i);
        }
        KC_CLEANUP(kc_strv_freep) char **unknown = NULL;
        assert_int_equal(kc_codec_decode(o, type_of(CORE "ConfigMap"), &unknown, NULL), 0);
        assert_int_equal(kc_strv_len(unknown), 100);
        assert_string_equal(unknown[99], "k99");
        expect_json_take(o, "{'metadata':{}}");
}

static void canonical_form(void **state)
{
        (void)state;
        /* Order of the schema; required lists and structs held by value are there, empty optional values are not. */
        expect_decoded(CORE "Pod",
            "{'status':{},'spec':{'hostNetwork':false,'nodeName':'','volumes':[]},'kind':'Pod',"
            "'metadata':{'labels':{},'annotations':null,'name':'a'},'apiVersion':'v1'}",
            "{'kind':'Pod','apiVersion':'v1','metadata':{'name':'a'},'spec':{'containers':null},'status':{}}");
        /* Zero is not absent where Go has a pointer. */
        expect_decoded("io.k8s.api.apps.v1.ReplicaSet", "{'spec':{'replicas':0,'minReadySeconds':0,'selector':{}}}",
            "{'metadata':{},'spec':{'replicas':0,'selector':{},'template':{'metadata':{},'spec':{'containers':null}}},"
            "'status':{'replicas':0}}");
        expect_decoded(CORE "Volume", "{'name':'a','emptyDir':{}}", "{'name':'a','emptyDir':{}}");
        expect_decoded(
            "io.k8s.api.rbac.v1.Role", "{'metadata':{'name':'r'}}", "{'metadata':{'name':'r'},'rules':null}");
        expect_decoded(CORE "PodCondition", "{'type':'Ready','status':'True'}",
            "{'type':'Ready','status':'True','lastProbeTime':null,'lastTransitionTime':null}");
        expect_decoded(
            CORE "ResourceFieldSelector", "{'resource':'limits.cpu'}", "{'resource':'limits.cpu','divisor':'0'}");
        expect_decoded(CORE "ConfigMap", "{'data':{'a':null}}", "{'metadata':{},'data':{'a':''}}");
}

static void canonical_scalars(void **state)
{
        (void)state;
        expect_decoded(CORE "ResourceRequirements", "{'limits':{'cpu':'1000m','memory':'0.5Gi','pods':3,'x':0.5}}",
            "{'limits':{'cpu':'1','memory':'512Mi','pods':'3','x':'500m'}}");
        expect_decoded(CORE "Secret", "{'data':{'a':'aGVs\\nbG8='}}", "{'metadata':{},'data':{'a':'aGVsbG8='}}");
        expect_decoded("io.k8s.api.coordination.v1.LeaseSpec", "{'renewTime':'2026-11-21T13:00:00.5+01:00'}",
            "{'renewTime':'2026-11-21T12:00:00.500000Z'}");
        expect_decoded(CORE "Taint", "{'key':'a','effect':'NoExecute','timeAdded':'2026-11-21T13:00:00+01:00'}",
            "{'key':'a','effect':'NoExecute','timeAdded':'2026-11-21T12:00:00Z'}");
        expect_decoded(CORE "ServicePort", "{'port':80,'targetPort':'http'}", "{'port':80,'targetPort':'http'}");
}

static void decoding_twice_changes_nothing(void **state)
{
        (void)state;
        static const char text[] = "{'kind':'Pod','apiVersion':'v1','metadata':{'name':'a'},'spec':{'containers':"
                                   "[{'name':'c','resources':{}}]},'status':{}}";
        expect_decoded(CORE "Pod", text, text);
}

static void static_defaults(void **state)
{
        (void)state;
        struct json_object *o = parse("{'ports':[{'port':80,'targetPort':80}],'selector':{'a':'b'}}");
        kc_codec_default(o, type_of(CORE "ServiceSpec"));
        expect_json_take(o, "{'ports':[{'protocol':'TCP','port':80,'targetPort':80}],'selector':{'a':'b'},"
                            "'type':'ClusterIP','sessionAffinity':'None'}");
        o = parse("{'containers':[{'name':'a','livenessProbe':{'httpGet':{'port':1}}}],'enableServiceLinks':false}");
        kc_codec_default(o, type_of(CORE "PodSpec"));
        expect_json_take(o,
            "{'containers':[{'name':'a','livenessProbe':{'httpGet':{'path':'/','port':1,'scheme':'HTTP'},"
            "'timeoutSeconds':1,'periodSeconds':10,'successThreshold':1,'failureThreshold':3},"
            "'terminationMessagePath':'/dev/termination-log','terminationMessagePolicy':'File'}],"
            "'restartPolicy':'Always','terminationGracePeriodSeconds':30,'dnsPolicy':'ClusterFirst',"
            "'securityContext':{},'schedulerName':'default-scheduler','enableServiceLinks':false}");
        /* An empty string in a field without a pointer counts as absent. */
        o = parse("{'apiGroup':'','kind':'Role','name':'r'}");
        kc_codec_default(o, type_of("io.k8s.api.rbac.v1.RoleRef"));
        expect_json_take(o, "{'apiGroup':'rbac.authorization.k8s.io','kind':'Role','name':'r'}");
}

static void structural_validation(void **state)
{
        (void)state;
        struct json_object *o = parse("{'containers':[{'image':'x'},{'name':'b','imagePullPolicy':'Sometimes'},"
                                      "{'name':'b'}]}");
        struct kc_field_errors errors = {0};
        kc_codec_validate(o, type_of(CORE "PodSpec"), "spec", &errors);
        assert_int_equal(errors.n, 3);
        assert_string_equal(errors.v[0].field, "spec.containers[0].name");
        assert_string_equal(errors.v[0].message, "Required value");
        assert_string_equal(errors.v[1].field, "spec.containers[1].imagePullPolicy");
        assert_string_equal(errors.v[1].message,
            "Unsupported value: \"Sometimes\": supported values: \"Always\", \"IfNotPresent\", \"Never\"");
        assert_string_equal(errors.v[2].field, "spec.containers[2]");
        assert_string_equal(errors.v[2].reason, "FieldValueDuplicate");
        kc_field_errors_done(&errors);
        kc_json_free(o);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(wrong_types),
            cmocka_unit_test(wrong_values),
            cmocka_unit_test(unknown_fields),
            cmocka_unit_test(many_unknown_fields),
            cmocka_unit_test(canonical_form),
            cmocka_unit_test(canonical_scalars),
            cmocka_unit_test(decoding_twice_changes_nothing),
            cmocka_unit_test(static_defaults),
            cmocka_unit_test(structural_validation),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
