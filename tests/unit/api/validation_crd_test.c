/* Validation of CustomResourceDefinitions. */
#include "validation_testing.h"

/* As the strategy leaves it. */
static const char crd[] =
    "{'metadata':{'name':'things.example.com'},'spec':{'group':'example.com','scope':'Namespaced','names':{'plural':"
    "'things','singular':'thing','kind':'Thing','listKind':'ThingList'},'versions':[{'name':'v1','served':true,"
    "'storage':true,'schema':{'openAPIV3Schema':{'type':'object','properties':{'spec':{'type':'object','properties':"
    "{'size':{'type':'integer'}}}}}}}]},'status':{'storedVersions':['v1']}}";

static void create(const char *patch, const char *want)
{
        expect_create(kind("apiextensions.k8s.io", "CustomResourceDefinition"), crd, patch, want);
}

/* A patch of the schema of the only version. */
#define SCHEMA(s)                                                                                                      \
        "{'spec':{'versions':[{'name':'v1','served':true,'storage':true,'schema':{'openAPIV3Schema':" s "}}]}}"

static void test_names(void **state)
{
        (void)state;
        create("", "");
        create(
            "{'spec':{'group':'Example','scope':'x','names':{'kind':'Thing','listKind':'Thing','shortNames':['T']}}}",
            "metadata.name: Invalid value: \"things.example.com\": must be spec.names.plural+\".\"+spec.group\n"
            "spec.group: Invalid value: \"Example\": " SUBDOMAIN_1123 "\n"
            "spec.scope: Unsupported value: \"x\": supported values: \"Cluster\", \"Namespaced\"\n"
            "spec.names.shortNames[0]: Invalid value: \"T\": a DNS-1035 label must consist of lower case alphanumeric "
            "characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. "
            "'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')\n"
            "spec.names.listKind: Invalid value: \"Thing\": kind and listKind may not be the same");
        create("{'metadata':{'name':'things.x.k8s.io'},'spec':{'group':'x.k8s.io'}}",
            "metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval "
            "annotation \"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111");
        create(
            "{'metadata':{'name':'things.x.k8s.io','annotations':{'api-approved.kubernetes.io':'unapproved, a test'}},"
            "'spec':{'group':'x.k8s.io'}}",
            "");
}

static void test_versions(void **state)
{
        (void)state;
        create("{'spec':{'versions':[{'name':'v1','served':true,'storage':false}]},'status':{'storedVersions':['v2']}}",
            "spec.versions[0].schema.openAPIV3Schema: Required value\n"
            "spec.versions: Invalid value: [{\"name\":\"v1\",\"served\":true,\"storage\":false}]: must have exactly "
            "one "
            "version marked as storage version\n"
            "status.storedVersions[0]: Invalid value: \"v2\": missing from spec.versions; v2 was previously a storage "
            "version, and must remain in spec.versions until a storage migration ensures no data remains persisted in "
            "v2 and removes v2 from status.storedVersions");
        create("{'spec':{'versions':[{'name':'v1','served':true,'storage':true,'schema':{'openAPIV3Schema':{'type':"
               "'object'}},'subresources':{'scale':{'specReplicasPath':'spec.n','statusReplicasPath':'.spec.n'}},"
               "'additionalPrinterColumns':[{'name':'','type':'x','jsonPath':'a'}]}],'conversion':{'strategy':'Webhook'"
               "}}}",
            "spec.subresources.scale.specReplicasPath: Invalid value: \"spec.n\": must be a simple json path starting "
            "with .\n"
            "spec.subresources.scale.statusReplicasPath: Invalid value: \".spec.n\": should be a json path under "
            ".status\n"
            "spec.additionalPrinterColumns[0].name: Required value\n"
            "spec.additionalPrinterColumns[0].type: Invalid value: \"x\": must be one of "
            "boolean,date,integer,number,string\n"
            "spec.additionalPrinterColumns[0].JSONPath: Invalid value: \"a\": must be a simple json path starting with "
            ".\n"
            "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook\n"
            "spec.conversion.conversionReviewVersions: Required value");
}

static void test_structural(void **state)
{
        (void)state;
        create(SCHEMA("{'type':'object','properties':{'spec':{'properties':{'a':{'type':'array'}}},'metadata':{'type':"
                      "'object','properties':{'labels':{'type':'object'}}}}}"),
            "spec.validation.openAPIV3Schema.properties[metadata]: Forbidden: must not specify anything other than "
            "name "
            "and generateName, but metadata is implicitly specified\n"
            "spec.validation.openAPIV3Schema.properties[spec].properties[a].items: Required value: must be specified\n"
            "spec.validation.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified "
            "object fields");
        create(SCHEMA("{'type':'object','properties':{'a':{'x-kubernetes-int-or-string':true,'anyOf':[{'type':'integer'"
                      "},{'type':'string'}]}}}"),
            "");
        create(SCHEMA("{'type':'object','properties':{'a':{'type':'string','anyOf':[{'type':'string'}]}},'anyOf':[{"
                      "'properties':{'b':{'minimum':1}}}]}"),
            "spec.validation.openAPIV3Schema.properties[a].anyOf[0].type: Forbidden: must be empty to be structural\n"
            "spec.validation.openAPIV3Schema.properties[b]: Required value: because it is defined in "
            "spec.validation.openAPIV3Schema.anyOf[0].properties[b]");
}

static void test_schema(void **state)
{
        (void)state;
        create(
            SCHEMA(
                "{'type':'object','properties':{'a':{'type':'array','uniqueItems':true,'items':{'type':'string'}},"
                "'b':{'type':'object','additionalProperties':{'type':'string'},'properties':{'x':{'type':'string'}}},"
                "'c':{'type':'number','$ref':'#'}}}"),
            "spec.validation.openAPIV3Schema.properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true "
            "since the runtime complexity becomes quadratic\n"
            "spec.validation.openAPIV3Schema.properties[b].additionalProperties: Forbidden: additionalProperties and "
            "properties are mutual exclusive\n"
            "spec.validation.openAPIV3Schema.properties[c].$ref: Forbidden: $ref is not supported");
        create(SCHEMA("{'type':'object','properties':{'l':{'type':'array','x-kubernetes-list-type':'map',"
                      "'x-kubernetes-list-map-keys':['k','z'],'items':{'type':'object','properties':{'k':{'type':"
                      "'string'}}}},'m':{'type':'string','x-kubernetes-map-type':'x'}}}"),
            "spec.validation.openAPIV3Schema.properties[l].x-kubernetes-list-map-keys: Invalid value: [\"k\",\"z\"]: "
            "entries must all be names of item properties\n"
            "spec.validation.openAPIV3Schema.properties[l].items.properties[k].default: Required value: this property "
            "is in x-kubernetes-list-map-keys, so it must have a default or be a required property\n"
            "spec.validation.openAPIV3Schema.properties[m].type: Invalid value: \"string\": must be object if "
            "x-kubernetes-map-type is specified\n"
            "spec.validation.openAPIV3Schema.properties[m].x-kubernetes-map-type: Unsupported value: \"x\": supported "
            "values: \"atomic\", \"granular\"");
        create(SCHEMA("{'type':'object','x-kubernetes-validations':[{'rule':' '},{'rule':'true','message':' '}]}"),
            "spec.validation.openAPIV3Schema.x-kubernetes-validations[0].rule: Required value: rule is not specified\n"
            "spec.validation.openAPIV3Schema.x-kubernetes-validations[1].message: Invalid value: \" \": must be "
            "non-empty if specified");
}

static void test_update(void **state)
{
        (void)state;
        const struct kc_resource *r = kind("apiextensions.k8s.io", "CustomResourceDefinition");
        expect_update(r, "", crd, "", "{'spec':{'names':{'shortNames':['t']}}}", "");
        expect_update(r, "", crd, "{'status':{'conditions':[{'type':'Established','status':'True'}]}}",
            "{'spec':{'scope':'Cluster','names':{'kind':'Other'}}}",
            "spec.scope: Invalid value: \"Cluster\": field is immutable\n"
            "spec.names.kind: Invalid value: \"Other\": field is immutable");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_names),
            cmocka_unit_test(test_versions),
            cmocka_unit_test(test_structural),
            cmocka_unit_test(test_schema),
            cmocka_unit_test(test_update),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
