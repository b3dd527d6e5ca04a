import CHiredis

/// Encrypts connections to Redis and checks who is at their other end; where hiredis was built with TLS.
final class RedisTLS {
    static let isAvailable = QM_HAS_REDIS_TLS != 0

    private let context: UnsafeMutableRawPointer?

    /// Reads whom to trust. Blocks for the time that takes; where it cannot be read, no connection is made.
    init(_ tls: RedisConfiguration.TLS) { context = qm_tls_new(tls.authorityFile) }

    deinit { if let context { qm_tls_free(context) } }

    /// An encrypted connection, as long as it is open.
    struct Connection {
        fileprivate let session: UnsafeMutableRawPointer

        /// Whether nothing can be written before something is read.
        var waitsToRead: Bool { qm_tls_waits_to_read(session) != 0 }
    }

    /// - Parameter name: what the other side's certificate must be for.
    func begin(_ connection: UnsafeMutablePointer<redisContext>, name: String) -> Connection? {
        guard let context, let session = qm_tls_begin(connection, context, name) else { return nil }
        return Connection(session: session)
    }
}
