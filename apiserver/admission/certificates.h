/* Reading certificate requests. Any thread. */
#pragma once

#include <openssl/x509.h>

/* The request in what base64 holds, PEM; NULL if there is none. The caller's, X509_REQ_free. */
X509_REQ *kc_certificate_request_parse(const char *base64);
