import Bytes

/// The routes whose patterns are plain paths, in a hash table by the whole path: what nearly every request asks for is
/// found without walking the tree. A plain path goes before every pattern that matches it, so it is looked for first.
///
/// It holds places in the router's list and no references, which would have to be counted with every request.
final class LiteralRoutes {
    private struct Slot {
        var hash: UInt64 = 0
        var start = 0
        /// 0 for a free slot: a path has its slash at least.
        var count = 0
        /// Where the path's places begin in `routes`, one per method.
        var routes = 0
    }

    private var slots = [Slot](repeating: Slot(), count: 16)
    private var used = 0
    private var texts: [UInt8] = []
    private var routes: [Int32] = []
    private let seed = UInt64.random(in: .min ... .max)

    func insert(_ method: HTTPMethod, _ path: String, index: Int) {
        var slot = path.withByteView { find($0, $0.hash(seed: seed)) }
        if slots[slot].count == 0 {
            if (used + 1) * 2 > slots.count {
                grow()
                slot = path.withByteView { find($0, $0.hash(seed: seed)) }
            }
            let hash = path.withByteView { $0.hash(seed: seed) }
            slots[slot] = Slot(hash: hash, start: texts.count, count: path.utf8.count, routes: routes.count)
            texts += path.utf8
            routes += Array(repeating: -1, count: HTTPMethod.allCases.count)
            used += 1
        }
        routes[slots[slot].routes + Int(method.rawValue)] = Int32(index)
    }

    /// The place of the route for a method and a path, GET's for HEAD if it has none of its own; nil when the path is
    /// none of these or has no such method.
    func find(_ method: HTTPMethod, _ path: ByteView) -> Int? {
        let slot = slots[find(path, path.hash(seed: seed))]
        guard slot.count > 0 else { return nil }
        var index = routes[slot.routes + Int(method.rawValue)]
        if index < 0, method == .head { index = routes[slot.routes + Int(HTTPMethod.get.rawValue)] }
        return index < 0 ? nil : Int(index)
    }

    /// Whether the path is one of these, whatever its methods.
    func has(_ path: ByteView) -> Bool { slots[find(path, path.hash(seed: seed))].count > 0 }

    /// The slot that holds `path`, or the free one where it would go.
    private func find(_ path: ByteView, _ hash: UInt64) -> Int {
        let mask = slots.count - 1
        var at = Int(truncatingIfNeeded: hash) & mask
        while slots[at].count > 0 {
            if slots[at].hash == hash,
                texts.withByteView({ $0.slice(slots[at].start, slots[at].start + slots[at].count) == path })
            {
                return at
            }
            at = (at + 1) & mask
        }
        return at
    }

    private func grow() {
        let old = slots
        slots = Array(repeating: Slot(), count: old.count * 2)
        for slot in old where slot.count > 0 {
            var at = Int(truncatingIfNeeded: slot.hash) & (slots.count - 1)
            while slots[at].count > 0 { at = (at + 1) & (slots.count - 1) }
            slots[at] = slot
        }
    }
}
