/* Answers with a list in another form than that of its stored bytes. */
#pragma once

#include "server/server_internal.h"

/* Answers 200 with the list as negotiated: version, form, encoding. Worker threads. */
void list_made_reply(struct api_req *q, const struct kc_cache_list *l);
