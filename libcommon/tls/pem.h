/* Blocks of PEM text. */
#pragma once

#include <stddef.h>

/* fn for each block, in order; what is no block is skipped. type: "CERTIFICATE"; headers: "" if there are none. Any
 * thread. */
typedef void (*kc_pem_fn)(const char *type, const char *headers, const unsigned char *data, size_t len, void *arg);
void kc_pem_each(const char *text, size_t len, kc_pem_fn fn, void *arg);
/* A certificate's block. Heap. */
char *kc_pem_certificate(const unsigned char *data, size_t len);
