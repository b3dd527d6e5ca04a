import Bytes
import Redis

/// Who sends a batch and hears its answer.
protocol CheckBatchOwner: AnyObject {
    func completed(_ batch: CheckBatch, _ result: Result<ReplyView, RedisError>)
}

/// One script call: checks under the same rules, any number of subjects, any number of requests for each.
final class CheckBatch: RedisCall {
    /// Receives the decision of one request, and the tag that was given with it: one receiver may serve many requests.
    typealias Receiver = (_ decision: Decision, _ tag: Int) -> Void

    private struct Subject {
        var first: Int32
        var last: Int32
        var count: Int32
    }

    struct Request {
        var cost: Int
        /// The next request of the same subject, -1 at the end.
        fileprivate var next: Int32 = -1
        fileprivate(set) var tag = 0
        fileprivate(set) var receive: Receiver?
    }

    let policies: PolicySet
    let isPeek: Bool
    /// A given clock in µs; nil for Redis's own.
    let givenNowUs: Int?
    /// Which refusals may be remembered: those of calls sent since the last giving back.
    let epoch: Int
    /// Names the leases that the call takes.
    let leasePrefix: String?
    /// Where it goes on a cluster: all of its keys are of one slot. Without a cluster both stay as they are.
    let slot: Int
    let node: Int
    var sentAtUs: Int64 = 0
    /// The calendar periods of the quota rules, by rule; filled in before sending.
    var periods: [Int32: [Int64]] = [:]
    var attempts = 0
    /// Whether every subject has one request of cost 1, which need not be said.
    private(set) var isPlain = true
    private let keys = ByteBuffer(capacity: 256)
    private var keyEnds: [Int] = []
    private var subjects: [Subject] = []
    private var requests: [Request] = []
    private unowned let owner: any CheckBatchOwner

    init(
        owner: any CheckBatchOwner, policies: PolicySet, isPeek: Bool, epoch: Int, leasePrefix: String?,
        givenNowUs: Int? = nil, slot: Int = 0, node: Int = 0
    ) {
        self.owner = owner
        self.policies = policies
        self.isPeek = isPeek
        self.epoch = epoch
        self.leasePrefix = leasePrefix
        self.givenNowUs = givenNowUs
        self.slot = slot
        self.node = node
    }

    // MARK: Gathering

    func takes(_ policies: PolicySet, isPeek: Bool) -> Bool {
        self.policies === policies && self.isPeek == isPeek && requests.count < policies.mostRequestsPerCall
    }

    func keyCount(ofSubject subject: Int) -> Int { policies.rules.count }

    func key(_ i: Int) -> ByteView { keys.view.slice(i == 0 ? 0 : keyEnds[i - 1], keyEnds[i]) }

    /// Adds a request to a subject that is here already; returns the request's index.
    func join(subject: Int, cost: Int) -> Int {
        let index = Int32(requests.count)
        isPlain = false
        requests.append(Request(cost: cost))
        requests[Int(subjects[subject].last)].next = index
        subjects[subject].last = index
        subjects[subject].count += 1
        return Int(index)
    }

    /// Adds a request with a subject of its own; returns the indices of both.
    func append(keys requestKeys: RequestKeys, cost: Int) -> (subject: Int, request: Int) {
        for i in 0..<requestKeys.count {
            keys.append(requestKeys.key(i))
            keyEnds.append(keys.count)
        }
        if cost != 1 { isPlain = false }
        let index = Int32(requests.count)
        requests.append(Request(cost: cost))
        subjects.append(Subject(first: index, last: index, count: 1))
        return (subjects.count - 1, Int(index))
    }

    func setReceiver(_ receive: @escaping Receiver, tag: Int = 0, ofRequest index: Int) {
        requests[index].tag = tag
        requests[index].receive = receive
    }

    // MARK: The call

    var route: RedisRoute { .key(key(0)) }

    func encode(to writer: RESPWriter) {
        CheckScript.encode(self, to: writer)
    }

    func completed(_ result: Result<ReplyView, RedisError>) { owner.completed(self, result) }

    // MARK: What the script is told and what it answers, in its order

    var keyCount: Int { keyEnds.count }
    var requestCount: Int { requests.count }
    var subjectCount: Int { subjects.count }

    /// Calls `body` with the number of requests of each subject, then with each of their costs.
    func forEachCost(count: (Int) -> Void, cost: (Int) -> Void) {
        for subject in subjects {
            count(Int(subject.count))
            var i = subject.first
            while i >= 0 {
                cost(requests[Int(i)].cost)
                i = requests[Int(i)].next
            }
        }
    }

    /// Calls `body` with every request in the order of the script's answers, and its subject.
    func forEachRequest(_ body: (_ subject: Int, _ request: Request) -> Void) {
        for (number, subject) in subjects.enumerated() {
            var i = subject.first
            while i >= 0 {
                body(number, requests[Int(i)])
                i = requests[Int(i)].next
            }
        }
    }

    /// Which subject the `ordinal`th request, in the order of the answers, belongs to.
    func subject(ofOrdinal ordinal: Int) -> Int {
        var rest = ordinal
        for (number, subject) in subjects.enumerated() {
            if rest < subject.count { return number }
            rest -= Int(subject.count)
        }
        preconditionFailure("the call has no such request")
    }

    /// The `i`th key of a subject.
    func key(ofSubject subject: Int, rule i: Int) -> ByteView { key(subject * policies.rules.count + i) }
}
