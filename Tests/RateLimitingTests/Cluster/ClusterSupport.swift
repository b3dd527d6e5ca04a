import JSON
import TestSupport
import Testing

extension Integration {
    /// What needs a Redis Cluster: three masters that run beside each other.
    @Suite struct Clusters {}
}

/// The cluster of the tests that only use it: started once, and shared by prefix.
enum SharedCluster {
    private static let started = Result { try RedisCluster(masters: 3) }

    static var cluster: RedisCluster { get throws { try started.get() } }
}

extension TestServer {
    /// A replica on a cluster.
    convenience init(
        cluster: RedisCluster, prefix: String? = nil, loops: Int = 1, budgetMs: Int = 10_000
    ) throws {
        try self.init(redis: cluster.masters[0], prefix: prefix, loops: loops) {
            $0.redisURL = cluster.url
            $0.checkBudgetMs = budgetMs
        }
    }

    /// The key that counts `who` (`id:ann`) under a rule that was made as the `generation`th change.
    func key(_ who: String, _ rule: String, _ generation: Int) -> String {
        "\(prefix)ratelimit:{\(who)}:\(rule):\(generation)"
    }
}
