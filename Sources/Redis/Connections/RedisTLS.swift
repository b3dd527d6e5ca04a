import CHiredis

/// Encrypts connections to Redis and checks who is at their other end; where hiredis was built with TLS.
final class RedisTLS {
    static let isAvailable = QM_HAS_REDIS_TLS != 0

    private let context: UnsafeMutableRawPointer?

    /// Reads whom to trust. Blocks for the time that takes; where it cannot be read, no connection is made.
    init(_ tls: RedisConfiguration.TLS) { context = qm_tls_new(tls.authorityFile) }

    deinit { if let context { qm_tls_free(context) } }

    /// - Parameter name: what the other side's certificate must be for.
    func begin(_ connection: UnsafeMutablePointer<redisAsyncContext>, name: String) -> Bool {
        guard let context else { return false }
        return qm_tls_begin(&connection.pointee.c, context, name) == REDIS_OK
    }
}
