"""The former name of `data_location`, which `repro data` still imports."""

from tasks.word_prediction.data_location import data_here, download_folder, own_text_folder, ptb_dir

__all__ = ["data_here", "download_folder", "own_text_folder", "ptb_dir"]
