/* Shared by the sources of conversion. */
#pragma once

#include "json/json.h"

/* HorizontalPodAutoscalers: all but apiVersion, in place; the tree has yet to pass kc_codec_decode(). */
void kc_convert_autoscaler_to_v1(struct json_object *o);
void kc_convert_autoscaler_to_v2(struct json_object *o);
