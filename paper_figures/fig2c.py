"""Figure 2c: frame accuracy on speech, and one utterance as a trained network classifies it (task 1.3)."""

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from paper_figures import fig2c_utterance, rows, style
from paper_figures.table import Table, mean_interval

ASIDE = "e_prop_1_variance_1_over_n"  # not in the paper's panel
PAPERS_DATA = "TIMIT"
LITERATURE = "paper's LSTM: Greff et al."  # the group whose value the paper prints
HEIGHT, TOP, MIDDLE = 4.9, 0.58, 2.4  # inches: of the panel, from its top to the results, and to the utterance


def panel_c(figure: style.Panel, table: Table) -> None:
    """Above: accuracy of each variant, and its learning curve. Below: one utterance with a trained network's output."""
    data = table.source or PAPERS_DATA
    style.head(figure, "c", f"Frame accuracy on test utterances of {data}")
    style.note(figure, table.of_seeds("mean") + f"; {LITERATURE}")
    _accuracies(figure, table)
    _learning(figure, table)
    fig2c_utterance.utterance(figure, table, MIDDLE)


def _accuracies(figure: style.Panel, table: Table) -> None:
    """A row a variant: mean test accuracy at the best validation, 95 % interval, one dot per seed."""
    variants, paper = list(table.task.variants), table.printed("2c")
    labels = {variant: table.task.variants[variant].label for variant in variants}
    margins = {"left": 1.3, "width": 2.62, "top": TOP + 0.02, "bottom": HEIGHT - MIDDLE + 0.42}
    axes = rows.make(figure, labels, _columns(table), **margins)
    shown = [*paper.values()] or [0.5]
    for row, variant in enumerate(variants):
        values, colour = table.values(variant, "accuracy"), style.COLOURS[variant]
        rows.mean(axes, row, values, colour, hollow=variant == ASIDE)
        rows.lost(axes, row, table.failures(variant), colour)
        shown += [*values]
    for variant, value in paper.items():
        rows.paper(axes, variants.index(variant), value)
    axes.set(xlim=(max(min(shown) - 0.08, 0), max(shown) + 0.05), xlabel="accuracy (share of frames)")
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    aside = [style.mark("not in the paper's panel", style.GREY, **rows.POINT | {"mfc": "white"})]
    style.key(figure, rows.handles("mean", table.several(), bool(paper), *aside), (0.12, 0.27))


def _columns(table: Table) -> list[rows.Column]:
    """The numbers at the right of the points. On other data the paper's values are printed there, but not drawn."""
    variants = table.task.variants
    ours = {v: table.absence(v) or f"{table.values(v, 'accuracy').mean():.3f}" for v in variants}
    paper = {v: f"{value:.3f}" for v, value in table.claimed("2c").items()}
    name = f"paper ({PAPERS_DATA})" if table.stamp else "paper"
    columns: list[rows.Column] = [(0.42, "ours", ours), (0.72 if table.stamp else 0.5, name, paper)]
    return columns + table.seeds_column(0.4)


def _learning(figure: style.Panel, table: Table) -> None:
    """Accuracy on the validation set after each epoch, mean over seeds with its 95 % interval."""
    axes: Axes = style.grid(figure, 1, 1, left=4.43, right=1.25, top=TOP, bottom=HEIGHT - MIDDLE + 0.42)[0, 0]
    accuracies, ends = table.curves("validation_accuracy"), {}
    if not accuracies:
        style.missing(axes, "no run finished")
        return
    for variant, curves in accuracies.items():
        record, arrays = table.example(variant, "evaluated_after")
        passes = record.config["batch_size"] / record.config["train_utterances"]
        epoch = passes * arrays["evaluated_after"][: curves.shape[1]]
        colour, mean = style.COLOURS[variant], curves.mean(0)
        faint = variant == ASIDE
        axes.fill_between(epoch, *mean_interval(curves), color=colour, alpha=0.1 if faint else 0.2, lw=0)
        axes.plot(epoch, mean, color=colour, lw=0.7 if faint else 1.0, ls=(0, (2, 1.5)) if faint else "-")
        ends[table.task.variants[variant].label] = style.End(float(mean[-1]), colour)
    axes.set(xlabel="epoch", ylabel="validation accuracy", xlim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda accuracy, _: f"{accuracy:g}"))
    style.label_ends(axes, ends, {}, gap=0.1, right=1.06)
