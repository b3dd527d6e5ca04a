import EventLoops
import Synchronization

/// A step on its way to the loop that has its lane.
struct HandedStep: Sendable {
    /// By which the loop that sent it knows it again.
    let number: Int
    let sku: SKU
    let step: StockStep
}

struct HandedAnswer: Sendable {
    let number: Int
    let answer: StockAnswer
}

/// Where the lanes of a process are: each loop has an equal part of them.
final class LaneDirectory: Sendable {
    private let lanes = Mutex<[Int: LoopBound<StockLanes>]>([:])

    /// When the first thing is due that a lane has announced since it was asked last, by Redis's clock (ms).
    private let noted = Atomic(Int.max)

    func noteDue(_ ms: Int) {
        var known = noted.load(ordering: .relaxed)
        while ms < known {
            let (isDone, now) = noted.weakCompareExchange(expected: known, desired: ms, ordering: .relaxed)
            if isDone { return }
            known = now
        }
    }

    func takeNotedDue() -> Int { noted.exchange(.max, ordering: .relaxed) }

    /// Which lane of all is a SKU's.
    static func place(of sku: SKU, count: Int) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in sku.code.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return Int((hash ^ hash >> 32) % UInt64(count))
    }

    func add(_ own: StockLanes, loop: EventLoop) {
        let bound = LoopBound(own, loop: loop)
        lanes.withLock { $0[loop.index] = bound }
    }

    func remove(loop: EventLoop) { lanes.withLock { _ = $0.removeValue(forKey: loop.index) } }

    /// Runs `body` on a loop with its lanes; false when it has none any more.
    @discardableResult
    func send(to loop: Int, _ body: @escaping @Sendable (StockLanes) -> Void) -> Bool {
        guard let bound = lanes.withLock({ $0[loop] }) else { return false }
        bound.loop.send { body(bound.value) }
        return true
    }
}
