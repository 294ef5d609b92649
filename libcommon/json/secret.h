/* Trees that hold passwords, tokens or keys. */
#pragma once

#include "json/json.h"

/* Overwrites the strings of a tree that nobody else has, then frees it; NULL is fine. Any thread. */
void kc_json_free_secret(struct json_object *take_o);
KC_DEFINE_CLEANUP(struct json_object *, kc_json_free_secret)
