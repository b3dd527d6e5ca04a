/// What the links of one client have done, over all reconnections.
final class RedisTraffic {
    private(set) var writes = 0
    private(set) var deepestPipeline = 0

    /// The commands of a tick leave; `pending` wait for replies, these included.
    func wrote(pending: Int) {
        writes += 1
        deepestPipeline = max(deepestPipeline, pending)
    }
}
