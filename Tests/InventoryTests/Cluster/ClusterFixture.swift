import Redis
import TestSupport

/// One cluster of three masters for the tests that neither stop nor reshard it.
enum ClusterFixture {
    private static let cluster = Result { try RedisCluster(masters: 3, replicas: 0) }

    static var shared: RedisCluster { get throws { try cluster.get() } }

    /// SKUs at the three masters in turn, in slots of their own: `S0` …
    static func skus(_ count: Int) -> [String] {
        var names: [String] = []
        var number = 0
        while names.count < count {
            let name = "S\(number)"
            number += 1
            if RedisSlot.of(name) / 5461 % 3 == names.count % 3 { names.append(name) }
        }
        return names
    }
}
