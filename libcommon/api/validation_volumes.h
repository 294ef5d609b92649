/* What the sources of the validation of volumes, claims and storage kinds share. Any thread. */
#pragma once

#include "api/validation_internal.h"

/* A volume source of a pod, o at p, that PersistentVolumes may have, too. */
void kc_v_volume_plugin(struct kc_v *v, const struct kc_vpath *p, const char *name, const struct json_object *o);
/* The source in the spec at p of a PersistentVolume of that name. */
void kc_v_persistent_volume_source(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec, const char *volume);
bool kc_v_same_persistent_volume_source(const struct json_object *a, const struct json_object *b);
/* A PersistentVolumeSpec: of a volume of that name, or inline in a VolumeAttachment (NULL). */
void kc_v_persistent_volume_spec(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec, const char *volume);
void kc_v_claim_spec(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec);
/* The metadata of a template of which labels and annotations are all that may be set. */
void kc_v_template_meta(struct kc_v *v, const struct kc_vpath *p, const struct json_object *meta);
/* In a pod. */
void kc_v_claim_template(struct kc_v *v, const struct kc_vpath *p, const struct json_object *template);
void kc_v_csi_driver_name(struct kc_v *v, const struct kc_vpath *p, const char *name);
/* A core/v1 NodeSelector. */
void kc_v_node_selector(struct kc_v *v, const struct kc_vpath *p, const struct json_object *selector);
