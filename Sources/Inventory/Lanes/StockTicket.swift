import EventLoops

/// A step that waits for its turn, and whoever waits for its answer.
final class StockTicket {
    let sku: SKU
    let step: StockStep
    /// On the loop's clock.
    let deadlineUs: Int64
    /// How often a transaction with it met another process's.
    var conflicts = 0
    /// A transaction or a script with it may have been done without our hearing of it.
    var isUncertain = false
    /// Redis has sent it elsewhere: the slot or the mastership is on the move.
    var wasElsewhere = false
    /// On a cluster.
    let slot: Int
    private let then: (StockAnswer) -> Void

    /// - Parameter slot: of its SKU; only a cluster has more than one.
    init(
        _ step: StockStep, on sku: SKU, slot: Int = 0, deadlineUs: Int64, then: @escaping (StockAnswer) -> Void
    ) {
        self.slot = slot
        self.step = step
        self.sku = sku
        self.deadlineUs = deadlineUs
        self.then = then
    }

    func answer(_ answer: StockAnswer) {
        // It was made by an earlier attempt of ours, whose answer was lost.
        if isUncertain, case .existing(let hold, let productID) = answer {
            then(.held(hold, productID: productID))
        } else {
            then(answer)
        }
    }
}
