import Telemetry

/// What the lanes of a loop count.
final class StockCounters {
    let transactions: Counter
    let steps: Counter
    let conflicts: Counter
    let scriptCalls: Counter
    let scriptedSteps: Counter

    init(_ registry: MetricRegistry) {
        transactions = registry.counter("quartermaster_stock_transactions_total", "Transactions sent (MULTI … EXEC)")
        steps = registry.counter("quartermaster_stock_steps_total", "Steps that transactions carried")
        conflicts = registry.counter(
            "quartermaster_stock_conflicts_total", "Transactions that met a change by another process")
        scriptCalls = registry.counter(
            "quartermaster_stock_script_calls_total", "Calls of the script that does the same")
        scriptedSteps = registry.counter("quartermaster_stock_scripted_steps_total", "Steps that scripts did")
    }
}
