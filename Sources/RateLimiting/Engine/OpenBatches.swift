import Bytes

/// The calls being gathered in one tick, and which keys they touch, so that checks join a call only where the answers
/// stay those of one-by-one service in order of arrival.
///
/// Calls are sent in the order in which they were opened. A request may be appended to an open call of its rules unless
/// a later-opened call touches one of its keys; it may join an earlier request's subject unless something between them
/// touched one of their keys. Keys are found by hash and compared whole.
///
/// On a cluster a call's keys are of one slot, and a tick may have as many calls as there are subjects; there the calls
/// of a slot are found by it, which tells of each call the one before it in its slot.
struct OpenBatches {
    private(set) var batches: [CheckBatch] = []
    /// On a cluster: the latest call by slot, -1 where there is none.
    private var latest: [Int32]
    /// And by call the one before it in its slot.
    private var earlier: [Int32] = []
    private let isCluster: Bool
    private var slots: [Slot] = Array(repeating: Slot(), count: 256)
    private var used: [Int32] = []

    private struct Slot {
        var hash: UInt64 = 0
        var batch: Int32 = -1
        var subject: Int32 = 0
        var key: Int32 = 0
    }

    init(isCluster: Bool = false) {
        self.isCluster = isCluster
        latest = isCluster ? Array(repeating: -1, count: 16_384) : []
    }

    var isEmpty: Bool { batches.isEmpty }

    /// Places a request whose keys are `keys`, opening a call with `open` where none fits.
    /// - Parameter slot: of all the keys, on a cluster.
    /// - Returns: the call and the request's index in it.
    mutating func place(
        _ policies: PolicySet, isPeek: Bool, keys: RequestKeys, cost: Int, slot: Int = 0, open: () -> CheckBatch
    ) -> (batch: CheckBatch, request: Int) {
        // The last touch of any of the keys: the latest call, and the subject if all keys were last touched by it.
        var lastBatch: Int32 = -1
        var lastSubject: Int32 = -1
        var isSameSubject = true
        for i in 0..<keys.count {
            let slot = slots[find(keys.hash(i), keys.key(i))]
            if i == 0 {
                (lastBatch, lastSubject) = (slot.batch, slot.subject)
            } else {
                if slot.batch != lastBatch || slot.subject != lastSubject { isSameSubject = false }
                lastBatch = max(lastBatch, slot.batch)
            }
        }
        var target = isCluster ? Int(latest[slot]) : batches.count - 1
        while target >= 0, !batches[target].takes(policies, isPeek: isPeek) {
            target = isCluster ? Int(earlier[target]) : target - 1
        }
        if target < 0 || target < Int(lastBatch) {
            target = batches.count
            batches.append(open())
            if isCluster {
                earlier.append(latest[slot])
                latest[slot] = Int32(target)
            }
        }
        let batch = batches[target]
        if isSameSubject, Int(lastBatch) == target, batch.keyCount(ofSubject: Int(lastSubject)) == keys.count {
            return (batch, batch.join(subject: Int(lastSubject), cost: cost))
        }
        let (subject, request) = batch.append(keys: keys, cost: cost)
        for i in 0..<keys.count {
            let at = find(keys.hash(i), keys.key(i))
            if slots[at].batch < 0 { used.append(Int32(at)) }
            slots[at] = Slot(
                hash: keys.hash(i), batch: Int32(target), subject: Int32(subject), key: Int32(subject * keys.count + i))
            // After each key: a request under hundreds of rules may fill the table by itself.
            if used.count * 2 > slots.count { grow() }
        }
        return (batch, request)
    }

    /// Hands out all calls in order and begins anew.
    mutating func takeAll() -> [CheckBatch] {
        for at in used { slots[Int(at)].batch = -1 }
        used.removeAll(keepingCapacity: true)
        let taken = batches
        if isCluster {
            for batch in taken { latest[batch.slot] = -1 }
            earlier.removeAll(keepingCapacity: true)
        }
        batches.removeAll(keepingCapacity: true)
        return taken
    }

    private func find(_ hash: UInt64, _ key: ByteView) -> Int {
        let mask = slots.count - 1
        var at = Int(truncatingIfNeeded: hash) & mask
        while slots[at].batch >= 0 {
            let slot = slots[at]
            if slot.hash == hash, batches[Int(slot.batch)].key(Int(slot.key)) == key { return at }
            at = (at + 1) & mask
        }
        return at
    }

    private mutating func grow() {
        let old = used.map { slots[Int($0)] }
        slots = Array(repeating: Slot(), count: slots.count * 2)
        used.removeAll(keepingCapacity: true)
        for slot in old {
            let mask = slots.count - 1
            var at = Int(truncatingIfNeeded: slot.hash) & mask
            while slots[at].batch >= 0 { at = (at + 1) & mask }
            slots[at] = slot
            used.append(Int32(at))
        }
    }
}

/// The keys of one request, one per rule, in a scratch buffer that serves every request.
final class RequestKeys {
    private let bytes = ByteBuffer(capacity: 512)
    private var ends: [Int] = []
    private var hashes: [KeyHash] = []

    var count: Int { ends.count }

    init() {}

    /// Some keys of another request's, to be kept.
    init(_ other: RequestKeys, at indices: [Int]) {
        for i in indices {
            bytes.append(other.key(i))
            ends.append(bytes.count)
            hashes.append(other.hashes[i])
        }
    }

    func build(_ policies: PolicySet, _ request: CheckRequest, _ builder: KeyBuilder) {
        bytes.removeAll()
        ends.removeAll(keepingCapacity: true)
        hashes.removeAll(keepingCapacity: true)
        for rule in policies.rules {
            let start = bytes.count
            builder.append(rule, request, to: bytes)
            ends.append(bytes.count)
            hashes.append(KeyHash(bytes.view.slice(start, bytes.count)))
        }
    }

    func key(_ i: Int) -> ByteView { bytes.view.slice(i == 0 ? 0 : ends[i - 1], ends[i]) }
    func hash(_ i: Int) -> UInt64 { hashes[i].a }
    func keyHash(_ i: Int) -> KeyHash { hashes[i] }
}
