#ifndef QUARTERMASTER_CHIREDIS_TLS_H
#define QUARTERMASTER_CHIREDIS_TLS_H

// TLS to Redis, where hiredis has it (1.0 and newer, built with TLS). The manifest looks for it and says so here; without it
// every connection that is to be encrypted fails, and the program says why before it tries.

#include <hiredis/hiredis.h>
#include <stddef.h>

#ifdef QM_REDIS_TLS

#include <hiredis/hiredis_ssl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define QM_HAS_REDIS_TLS 1

// What connections have in common: who is trusted. NULL if that cannot be read.
static inline void *qm_tls_new(const char *authority_file) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context) return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    int is_read = authority_file ? SSL_CTX_load_verify_locations(context, authority_file, NULL)
                                 : SSL_CTX_set_default_verify_paths(context);
    if (is_read == 1) return context;
    SSL_CTX_free(context);
    return NULL;
}

static inline void qm_tls_free(void *context) { SSL_CTX_free((SSL_CTX *)context); }

// Encrypts a connection that is being made; its other side must prove that it is `name`, a host's or an address. Returns
// what `qm_tls_waits_to_read` asks, which lives as long as the connection; NULL if it cannot be done.
static inline void *qm_tls_begin(redisContext *connection, void *context, const char *name) {
    SSL *ssl = SSL_new((SSL_CTX *)context);
    if (!ssl) return NULL;
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) != 1) {
        if (SSL_set1_host(ssl, name) != 1 || SSL_set_tlsext_host_name(ssl, name) != 1) {
            SSL_free(ssl);
            return NULL;
        }
    }
    if (redisInitiateSSL(connection, ssl) == REDIS_OK) return ssl;
    SSL_free(ssl);
    return NULL;
}

// Whether what is to be written has to wait until something is read.
static inline int qm_tls_waits_to_read(void *session) { return SSL_want_read((SSL *)session); }

#else

#define QM_HAS_REDIS_TLS 0

static inline void *qm_tls_new(const char *authority_file) { return (void)authority_file, NULL; }

static inline void qm_tls_free(void *context) { (void)context; }

static inline void *qm_tls_begin(redisContext *connection, void *context, const char *name) {
    return (void)connection, (void)context, (void)name, NULL;
}

static inline int qm_tls_waits_to_read(void *session) { return (void)session, 0; }

#endif

#endif
