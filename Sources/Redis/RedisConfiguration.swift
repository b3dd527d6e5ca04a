import EventLoops

/// Which Redis, and how to be let in.
public struct RedisConfiguration: Sendable, Equatable {
    public enum Address: Sendable, Hashable {
        /// A name or a numeric address, and a port.
        case tcp(host: String, port: Int)
        case unix(path: String)
    }

    /// How many servers there are, and who says which one is asked.
    public enum Topology: Sendable, Equatable {
        case one(Address)
        /// The Sentinels, which know the master of this name.
        case sentinel([Address], master: String)
        /// Some nodes of a cluster, which know all.
        case cluster([Address])

        /// Whether what is asked may be another server tomorrow.
        var hasMany: Bool { if case .one = self { false } else { true } }
    }

    /// How a connection is encrypted.
    public struct TLS: Sendable, Equatable {
        /// A file of certificates that are trusted; nil: the system's.
        public var authorityFile: String?

        public init(authorityFile: String? = nil) { self.authorityFile = authorityFile }
    }

    public var topology: Topology
    public var tls: TLS?
    public var user: String?
    public var password: String?
    /// By which Sentinels let us in; they have passwords of their own.
    public var sentinelPassword: String?
    public var database: Int
    /// For one attempt to connect and to be let in.
    public var connectTimeoutUs: Int64 = 2_000_000
    /// A connection with commands waiting and no byte for this long is cut: the other side may be gone unnoticed.
    public var stallUs: Int64 = 5_000_000
    /// Commands that may wait on one connection.
    public var maxPending = 65_536

    /// The servers, Sentinels or nodes that are named.
    public var addresses: [Address] {
        switch topology {
        case .one(let address): [address]
        case .sentinel(let addresses, _), .cluster(let addresses): addresses
        }
    }

    public var isCluster: Bool { if case .cluster = topology { true } else { false } }

    init(topology: Topology, user: String?, password: String?, database: Int) {
        self.topology = topology
        self.user = user
        self.password = password
        self.database = database
    }

    /// The same way in, to Sentinels, which have no databases and users of their own.
    var toSentinels: RedisConfiguration {
        var configuration = self
        (configuration.user, configuration.password, configuration.database) = (nil, sentinelPassword, 0)
        return configuration
    }
}

extension RedisConfiguration: CustomStringConvertible {
    /// The URL without credentials.
    public var description: String {
        let scheme = tls == nil ? "redis" : "rediss"
        func list(_ addresses: [Address]) -> String { addresses.map(\.description).joined(separator: ",") }
        let end = database == 0 ? "" : "/\(database)"
        return switch topology {
        case .one(.unix(let path)): "unix://\(path)" + (database == 0 ? "" : "?db=\(database)")
        case .one(let address): "\(scheme)://\(address)" + end
        case .sentinel(let addresses, let master): "\(scheme)+sentinel://\(list(addresses))/\(master)" + end
        case .cluster(let addresses): "\(scheme)+cluster://\(list(addresses))"
        }
    }
}

extension RedisConfiguration.Address: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unix(let path): path
        case .tcp(let host, let port): "\(host.contains(":") ? "[\(host)]" : host):\(port)"
        }
    }
}
