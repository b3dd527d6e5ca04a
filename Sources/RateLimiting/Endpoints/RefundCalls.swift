import Bytes
import Redis
import Services

/// Gives back what requests of clients name, each once.
///
/// A receipt is given back as a whole, once per rule, and what an idempotency key gave back is not given back again: marks
/// beside the rules' keys, in their slots, written by the step that gives back.
struct RefundCalls {
    private let limiter: Limiter
    private let redis: RedisClient

    init(limiter: Limiter, redis: RedisClient) {
        self.limiter = limiter
        self.redis = redis
    }

    /// What one call of the refund script is about.
    private struct Group: Hashable {
        let slot: Int
        /// The clock at the decision that the receipt names.
        let receiptUs: Int?
    }

    /// What the refund script says per rule: one call with one Redis, and one per slot on a cluster. Where some of several
    /// slots fail, their rules' word is `unavailable` (nothing was given back) or `unknown` (it may have been).
    func run(
        _ policies: PolicySet, _ keys: [[UInt8]], amount: Int, receipt: Receipt?, under idempotencyKey: IdempotencyKey?
    ) async throws -> [(word: String, remaining: Int)] {
        let keys = keys.map { String(decoding: $0, as: UTF8.self) }
        var words = Array(repeating: (word: "unavailable", remaining: 0), count: keys.count)
        for i in keys.indices where RefundCalls.isOutdated(receipt, policies.rules[i].rule) { words[i].word = "void" }
        let groups = Dictionary(grouping: keys.indices.filter { words[$0].word != "void" }) { i in
            Group(
                slot: redis.isCluster ? RedisSlot.of(keys[i]) : 0,
                receiptUs: receipt?.part(of: policies.rules[i].rule)?.moment.us)
        }
        // One call looks before it gives back; several look all before the first does.
        if let idempotencyKey, groups.count > 1 {
            for key in keys {
                let mark = RefundCalls.mark(key, idempotencyKey.name)
                let record = try await redis.send(["GET", mark], key: mark, budgetUs: 1_000_000).string
                if let record, !record.hasPrefix(idempotencyKey.bodyDigest + " ") { throw RefundCalls.anotherBody }
            }
        }
        var failure: RedisError?
        var answers = 0
        for (group, indices) in groups.sorted(by: { $0.value[0] < $1.value[0] }) {
            let rules = PolicySet(rules: indices.map { policies.rules[$0] }, enforcingCount: indices.count)
            let arguments = RefundScript.arguments(
                rules, amount: amount, receiptUs: group.receiptUs, marksReceipts: receipt != nil,
                bodyDigest: idempotencyKey?.bodyDigest ?? "", periods: limiter.periods(of: rules))
            let touched = indices.flatMap { i in
                let moment = receipt?.part(of: policies.rules[i].rule)?.moment.text
                return [keys[i]]
                    + [moment, idempotencyKey?.name].compactMap { $0.map { RefundCalls.mark(keys[i], $0) } }
            }
            let parts: [RedisReply]
            do throws(RedisError) {
                let reply = try await redis.run(
                    RateLimitScripts.refund, keys: touched, arguments: arguments, budgetUs: 1_000_000)
                guard case .array(let all) = reply, let word = all.first?.string,
                    word == "another" || all.count >= indices.count * 2
                else { throw RedisError.unexpectedReply("refund") }
                parts = all
            } catch {
                failure = error
                if error.mayHaveRun { for i in indices { words[i].word = "unknown" } }
                continue
            }
            if parts.count == 1 { throw RefundCalls.anotherBody }
            answers += 1
            for (place, i) in indices.enumerated() {
                words[i] = (parts[2 * place].string ?? "", parts[2 * place + 1].int ?? 0)
            }
        }
        if answers == 0, let failure { throw failure }
        return words
    }

    /// Whether a bucket may have drained faster since the receipt than it does by its rule's present rate: then nobody knows
    /// what is left of the receipt's. A change takes a second to bind everywhere, and nodes' clocks may differ by another.
    private static func isOutdated(_ receipt: Receipt?, _ rule: Rule) -> Bool {
        guard rule.version > 1, case .limit(.tokenBucket) = rule.effect, let part = receipt?.part(of: rule)
        else {
            return false
        }
        return Int64(part.moment.us) <= rule.updatedAtUs + 2_000_000
    }

    /// The key that remembers that something under a rule's key was given back. No rule's own: those of one rule and
    /// generation have equally many parts.
    private static func mark(_ key: String, _ what: String) -> String { key + ":refunded:" + what }

    private static let anotherBody = Problem.impossible("Idempotency-Key", "was used before with another body")
}
